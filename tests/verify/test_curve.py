"""The knockout curve and how `auto` reads it."""

import random

import pytest
import torch

from pinpoint.config import VerifyConfig
from pinpoint.data import ContrastPair
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import knockout
from pinpoint.measure import matched_order, random_order
from pinpoint.models import headed
from pinpoint.progress import Silent
from pinpoint.verify import Prompts, curve, shortest_prefix
from tests.families import tiny

PAIRS = [ContrastPair([3, 4, 5 + i], [6, 7 + i], 5, 7, group=str(i)) for i in range(4)]


@pytest.mark.parametrize("mode", ["mean", "zero", "resample"])
def test_a_curve_starts_at_the_base_and_has_its_bands(mode: str) -> None:
    model = tiny("llama-gqa")
    view = headed(model)
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    prompts = Prompts(view, None, PAIRS, mode, means, batch_size=3)
    ranking = HeadSet([Head(2, 1), Head(0, 0), Head(1, 5)])
    config = VerifyConfig(max_heads=3, draws=2)
    found = curve(prompts, view, ranking, config, resamples=200, seed=0, progress=Silent())
    logits = [model(torch.tensor([pair.reference])).logits[0, -1] for pair in PAIRS]
    base = sum(float(row[5] - row[7]) for row in logits) / len(logits)
    assert found.ranked[0].value == pytest.approx(base, rel=1e-4)
    assert len(found.ranked) == 4
    assert all(len(draw) == 4 and draw[0] == pytest.approx(base, rel=1e-4) for draw in found.random + found.matched)
    assert found.ranked[3].value != pytest.approx(base, rel=1e-3), "knocking out must change something"


def test_every_point_is_that_of_all_heads_up_to_it_in_its_own_order() -> None:
    view = headed(tiny("llama-gqa"))
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    prompts = Prompts(view, None, PAIRS, "mean", means, batch_size=4)
    ranking = HeadSet([Head(2, 1), Head(0, 0), Head(1, 5), Head(1, 0)])
    config = VerifyConfig(max_heads=3, draws=2)
    found = curve(prompts, view, ranking, config, resamples=200, seed=0, progress=Silent())
    curves = {"ranked": [[point.value for point in found.ranked]], "random": found.random, "matched": found.matched}
    assert found.orders["ranked"] == [list(map(str, ranking[:3]))]
    for name, draws in curves.items():
        for order, points in zip(found.orders[name], draws, strict=True):
            heads = [Head.parse(one) for one in order]
            expected = [sum(prompts.log_odds(heads[:count])) / len(PAIRS) for count in range(4)]
            assert points == pytest.approx(expected), name


def test_zero_and_mean_put_in_place_what_they_say() -> None:
    view, heads = headed(tiny("llama-gqa")), [Head(0, 0), Head(1, 5)]
    means = torch.full((view.n_layers, view.n_heads, view.head_dim), 7.0)
    said = {mode: Prompts(view, None, PAIRS, mode, means, 4).log_odds(heads) for mode in ("zero", "mean")}
    for mode, values in (("zero", torch.zeros_like(means)), ("mean", means)):
        with knockout(view, heads, values), torch.no_grad():
            logits = [view.model(torch.tensor([pair.reference])).logits[0, -1] for pair in PAIRS]
        assert said[mode] == pytest.approx([float(row[5] - row[7]) for row in logits], rel=1e-4)


def test_prompts_of_one_token_are_resampled_too() -> None:
    view = headed(tiny("llama-gqa"))
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    prompts = Prompts(view, None, [ContrastPair([3], [4], 5, 7)], "resample", means, 1)
    # All heads as on the other prompt: what is left of this one is the embedding and what MLPs make of it.
    assert prompts.log_odds(list(view.heads()))[0] != pytest.approx(prompts.log_odds([])[0], rel=1e-3)


def test_a_pair_without_a_group_is_in_none_that_has_a_name() -> None:
    view = headed(tiny("llama-gqa"))
    pairs = [ContrastPair([3], [4], 5, 7, group="1"), ContrastPair([3], [4], 5, 7)]
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    assert len(set(Prompts(view, None, pairs, "zero", means, 1).groups)) == 2


@pytest.mark.parametrize("mode", ["mean", "resample"])
@torch.no_grad()
def test_of_whole_continuations_every_token_is_read_under_the_knockout(mode: str) -> None:
    model = tiny("llama-gqa")
    view = headed(model)
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    pair = ContrastPair([3, 4, 5, 8, 9], [6, 7, 2], [[5, 6, 8]], [[5, 7], [9]])
    other = ContrastPair([3, 4], [6, 7, 2, 9], [[5, 6, 8]], [[5, 7], [9]])
    heads = [Head(0, 0), Head(1, 2), Head(2, 5)]
    both = Prompts(view, None, [pair, other], mode, means, 2, "logprob_diff")
    alone = Prompts(view, None, [pair], mode, means, 1, "logprob_diff")
    scores = []
    for answer in ([5, 6, 8], [5, 7], [9]):
        every = model(torch.tensor([[*pair.reference, *answer]])).logits[0].log_softmax(dim=-1)
        scores.append(sum(every[4 + i, token] for i, token in enumerate(answer)))
    assert both.log_odds([])[0] == pytest.approx(float(scores[0] - torch.stack(scores[1:]).logsumexp(0)), rel=1e-4)
    assert both.log_odds(heads)[0] == pytest.approx(alone.log_odds(heads)[0], rel=1e-4)
    assert both.log_odds(heads)[0] != pytest.approx(both.log_odds([])[0], rel=1e-3)


def test_resampling_reads_no_padding_whatever_it_is_batched_with() -> None:
    view = headed(tiny("llama-gqa"))
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    short = ContrastPair([3, 4, 5, 8, 9], [6, 7], 5, 7)
    long = ContrastPair([3, 4, 5, 8], [9, 8, 7, 6, 5, 4, 3], 5, 7)
    heads = [Head(0, 0), Head(1, 2), Head(2, 5)]
    together = Prompts(view, None, [short, long], "resample", means, batch_size=2).log_odds(heads)
    alone = [Prompts(view, None, [pair], "resample", means, batch_size=1).log_odds(heads)[0] for pair in (short, long)]
    assert together == pytest.approx(alone, abs=1e-4)


def test_matched_heads_come_from_the_same_layers_and_are_others_where_there_are_any() -> None:
    ranked = [Head(1, 0), Head(1, 1), Head(2, 3)]
    order = matched_order(ranked, 6, random.Random(0))
    assert [head.layer for head in order] == [1, 1, 2]
    assert not set(order) & set(ranked)
    crowded = [Head(0, head) for head in range(4)]
    assert sorted(matched_order(crowded, 4, random.Random(0))) == crowded
    assert len(set(random_order([Head(i // 4, i % 4) for i in range(12)], 12, random.Random(0)))) == 12


@pytest.mark.parametrize(
    ("curve", "share", "expected"),
    [
        ([4.0, 3.0, 0.5, 0.0], 0.9, 3),
        ([4.0, 3.0, 0.4, 0.0], 0.9, 2),
        ([4.0, -1.0, 2.0, 1.0], 0.9, 1),
        ([4.0, 4.5, 4.2], 0.9, None),
    ],
)
def test_auto_is_the_shortest_prefix_that_reaches_the_share(curve: list[float], share: float, expected: int) -> None:
    assert shortest_prefix(curve, share) == expected
