"""The locators without effects: probes that find what was planted, and chance that repeats itself."""

import dataclasses

import pytest
import torch

import pinpoint
from pinpoint.errors import InputError
from pinpoint.locate._baselines import folds_of, head_outputs, probed
from pinpoint.models import headed
from tests.families import tiny
from tests.models import checks


def told_apart(count: int = 20) -> list[pinpoint.ContrastPair]:
    """References that end with one token, counterfactuals that end with another."""
    ids = torch.randint(10, checks.VOCAB, (count, 8), generator=torch.Generator().manual_seed(5)).tolist()
    return [pinpoint.ContrastPair([*row, 3], [*row, 4], 5, 7, group=f"q{i // 2}") for i, row in enumerate(ids)]


def test_a_probe_finds_the_head_that_holds_the_difference_and_no_other() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 40, 3, 6, generator=generator)  # [2 pair head d_head]
    outputs[0, :, 1, 2] += 6
    folds = folds_of([f"q{i}" for i in range(40)], 0)
    accuracy = probed(outputs, folds).mean(dim=0)
    assert accuracy[1] > 0.95 and (accuracy[[0, 2]] - 0.5).abs().max() < 0.2


def test_a_probe_is_tested_on_groups_it_has_not_seen() -> None:
    # What tells the prompts of a group apart is a direction of its own, of no use in another: whoever has seen the
    # group is always right, whoever has not is right by chance.
    generator = torch.Generator().manual_seed(1)
    groups = [f"q{i // 4}" for i in range(80)]
    directions = torch.randn(20, 48, generator=generator).repeat_interleave(4, dim=0)
    outputs = 0.1 * torch.randn(2, 80, 1, 48, generator=generator)
    outputs[0, :, 0] += directions
    outputs[1, :, 0] -= directions
    assert 0.25 < probed(outputs, folds_of(groups, 0)).mean() < 0.75
    assert probed(outputs, [i % 4 for i in range(80)]).mean() > 0.95
    folds = dict(zip(groups, folds_of(groups, 0), strict=True))
    assert len(folds) == 20 and folds_of(groups, 0) == [folds[group] for group in groups]


def test_z_is_read_at_the_last_token_whatever_the_padding() -> None:
    model = tiny("llama-gqa")
    pairs = [pinpoint.data.encode_pair(None, pair) for pair in checks.pairs()]
    together = head_outputs(headed(model), pairs)
    for i, pair in enumerate(pairs):
        alone = head_outputs(headed(model), [pair])
        assert all(torch.allclose(together[layer][:, i], alone[layer][:, 0], atol=1e-5) for layer in alone)


def test_located_by_probe_heads_come_by_accuracy() -> None:
    scores = pinpoint.locate(tiny("llama-gqa"), None, told_apart(), method="probe")
    assert scores.metric == "accuracy" and scores.label.startswith("held-out accuracy of linear probes")
    assert set(scores.effects.unique().tolist()) <= {0.0, 0.5, 1.0}
    assert scores.mean[scores.top(1)[0]] == scores.mean.max() > 0.9
    assert torch.equal(scores.effects, pinpoint.locate(tiny("llama-gqa"), None, told_apart(), method="probe").effects)


def test_a_hybrid_is_probed_where_it_has_heads() -> None:
    scores = pinpoint.locate(tiny("jamba"), None, told_apart(), method="probe", batch_size=7)
    assert scores.layers == (1,) and scores.mean[1].min() > 0 and len(scores.ranking()) == 6


def test_pairs_of_one_group_cannot_be_probed() -> None:
    one = [dataclasses.replace(pair, group="q") for pair in told_apart(4)]
    with pytest.raises(InputError, match=r"all pairs are of one group\. Give pairs of at least two groups\."):
        pinpoint.locate(tiny("llama-gqa"), None, one, method="probe")


def test_a_random_order_is_the_seeds() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    once, again, other = (pinpoint.locate(model, None, pairs, method="random", seed=seed) for seed in (1, 1, 2))
    assert once.ranking() == again.ranking() != other.ranking()
    assert once.label == "random scores, seeded" and len(once.ranking()) == 18
