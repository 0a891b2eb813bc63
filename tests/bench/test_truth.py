"""What planted parts are owed: on games and tiny models whose answers are known."""

import copy
import math
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pinpoint
from pinpoint.heads import Head
from pinpoint.models import headed
from tests.conftest import ROOT


class Scripts(NamedTuple):
    truth: ModuleType
    plants: ModuleType
    sensitivity: ModuleType


@pytest.fixture(scope="module")
def scripts() -> Iterator[Scripts]:
    sys.path.insert(0, str(ROOT / "bench"))
    import _plants
    import _sensitivity
    import _truth

    yield Scripts(_truth, _plants, _sensitivity)
    sys.path.remove(str(ROOT / "bench"))


def game(size: int, worth: Any) -> list[float]:
    """The worth of every subset, given what it is of a set of parts."""
    return [float(worth({i for i in range(size) if subset >> i & 1})) for subset in range(2**size)]


ADDED = game(3, lambda parts: sum((4, 2, 1)[i] for i in parts))
TOGETHER = game(3, lambda parts: {0, 1} <= parts)  # the third does nothing
EITHER = game(3, lambda parts: bool({0, 1} & parts))
MAJORITY = game(3, lambda parts: len(parts) >= 2)


def test_what_each_part_is_owed_is_known_of_games(scripts: Scripts) -> None:
    owed = scripts.truth.owed
    assert owed(ADDED) == pytest.approx([4, 2, 1])
    assert owed(TOGETHER) == owed(EITHER) == pytest.approx([0.5, 0.5, 0])
    assert owed(MAJORITY) == pytest.approx([1 / 3] * 3)
    # Gloves: the first part needs either of the others.
    assert owed(game(3, lambda parts: 0 in parts and len(parts) > 1)) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def tiny(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=16,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=4,
        rms_norm_eps=1e-12,
        tie_word_embeddings=False,
        initializer_range=0.5,
    )
    return LlamaForCausalLM(config).eval()


def pairs(*prompts: list[int], unwanted: list[int], wanted: list[int]) -> list[pinpoint.ContrastPair]:
    return [pinpoint.ContrastPair(prompt, prompt, unwanted, wanted) for prompt in prompts]


def test_log_odds_are_those_of_known_logits_at_the_end_of_every_prompt(scripts: Scripts) -> None:
    model, logits = tiny(), torch.arange(16.0) / 4
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight[5], model.model.embed_tokens.weight[6] = 1.0, -1.0
        model.lm_head.weight.copy_(logits[:, None].expand(16, 8) / 8)

    def log_odds(*prompts: list[int]) -> float:
        return float(scripts.truth.LogOdds(None, pairs(*prompts, unwanted=[12, 8], wanted=[4]))(model))

    odds = math.log(math.exp(3) + math.exp(2)) - 1
    against = math.log(math.exp(-3) + math.exp(-2)) + 1
    assert log_odds([1, 2, 5]) == pytest.approx(odds, abs=1e-5)
    assert log_odds([6]) == pytest.approx(against, abs=1e-5), "after 6 all logits have the other sign"
    assert log_odds([1, 2, 5], [6]) == pytest.approx((odds + against) / 2, abs=1e-5)


def test_the_changes_of_a_head_are_its_slices_and_nothing_beside_them(scripts: Scripts) -> None:
    before, after = tiny(), tiny(seed=1)
    found = dict(scripts.plants.head_deltas(headed(after), before, Head(1, 1)))
    assert set(found) == {f"model.layers.1.self_attn.{which}_proj.weight" for which in "qo"}
    for name, change in found.items():
        whole = after.state_dict()[name] - before.state_dict()[name]
        own = (slice(None), slice(4, 8)) if "o_proj" in name else slice(4, 8)
        assert torch.equal(change[own], whole[own]) and change.count_nonzero() == 4 * 8


def test_parts_are_heads_in_order_and_then_the_mlp_of_the_first(scripts: Scripts) -> None:
    before, after = tiny(), tiny(seed=1)

    class Two(scripts.plants.Plant):  # type: ignore[misc, name-defined]
        heads = [Head(0, 1), Head(1, 0)]

    found = scripts.plants.parts_of(Two(0, "early", 2, True), headed(after), before)
    assert list(found) == ["L0.H1", "L1.H0", "MLP"]
    assert set(found["MLP"]) == {f"model.layers.0.mlp.{which}_proj.weight" for which in ("gate", "up", "down")}
    for name, change in found["MLP"].items():
        torch.testing.assert_close(before.state_dict()[name] + change, after.state_dict()[name])
    assert list(scripts.plants.parts_of(Two(0, "early", 2, False), headed(after), before)) == ["L0.H1", "L1.H0"]


def test_heads_that_do_the_same_are_owed_the_same_and_one_that_does_not_change_nothing(scripts: Scripts) -> None:
    before = tiny()
    with torch.no_grad():
        attention = before.model.layers[1].self_attn
        for which in "qkv":
            weight = getattr(attention, f"{which}_proj").weight
            weight[4:] = weight[:4]
        attention.o_proj.weight[:, 4:] = attention.o_proj.weight[:, :4]
    after = copy.deepcopy(before)
    with torch.no_grad():
        change = torch.randn(4, 8, generator=torch.Generator().manual_seed(2))
        attention = after.model.layers[1].self_attn
        attention.q_proj.weight += change.repeat(2, 1)
        attention.o_proj.weight += change.T.repeat(1, 2)
    heads = (Head(1, 0), Head(0, 0), Head(1, 1))
    parts = [dict(scripts.plants.head_deltas(headed(after), before, head)) for head in heads]
    log_odds = scripts.truth.LogOdds(None, pairs([1, 2, 5], [3, 6], unwanted=[12], wanted=[4]))
    start = {name: weight.clone() for name, weight in before.state_dict().items()}
    [worth] = scripts.truth.worths(before, parts, {"log_odds": log_odds}).values()
    rise = log_odds(after) - log_odds(before)
    assert abs(rise) > 0.1 and worth[-1] - worth[0] == pytest.approx(rise, abs=1e-5)
    assert scripts.truth.owed(worth) == pytest.approx([rise / 2, 0, rise / 2], abs=1e-5)
    assert all(torch.equal(weight, start[name]) for name, weight in before.state_dict().items()), "put back"


def test_more_heads_matter_the_less_they_have_to_be_owed(scripts: Scripts) -> None:
    locators = {"path": [float(i == 1) for i in range(64)]}
    organism = {
        "plant": {"seed": 1},
        "rise": 10.0,
        "owed": {"L0.H1": 2.5, "L2.H3": 1.2, "L2.H4": 0.6, "MLP": 5.7},
        "found": {name: {"scores": scores} for name, scores in locators.items()},
    }
    unscored = organism | {"found": {}}
    rows = scripts.sensitivity.sensitivity([organism, unscored], [*locators], 0.5)
    assert [(row["share"], row["organisms"], row["heads"]) for row in rows] == [
        (0.05, 1, 3),
        (0.1, 1, 2),
        (0.15, 1, 1),
        (0.2, 1, 1),
    ]
    precision = [row["marks"]["path"]["precision_at_k"]["value"] for row in rows]
    assert precision[1:] == [0.5, 1.0, 1.0] and rows[2]["marks"]["path"]["auroc"]["value"] == 1.0
