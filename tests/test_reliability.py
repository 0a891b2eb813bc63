"""Split-half reliability, and what rounding is held to."""

import math

import numpy as np
import pytest
import torch

from pinpoint.heads import Head, HeadScores
from pinpoint.nodes import Node, NodeScores
from pinpoint.reliability import Reliability, Rounding, split_half, standard_error


def effects(pairs: int, signal: float, heads: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    return signal * rng.normal(size=heads) + rng.normal(size=(pairs, heads))


def names(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def test_the_formula_predicts_the_correlation_of_two_whole_maps() -> None:
    both = effects(80, 0.25)
    found = split_half(both[:40], names(40))
    # Reliability is the correlation with a map of as many other pairs.
    rng_free = np.corrcoef(both[:40].mean(axis=0).argsort().argsort(), both[40:].mean(axis=0).argsort().argsort())[0, 1]
    assert found.value == pytest.approx(rng_free, abs=0.06)
    assert found.low is not None and found.high is not None and found.low < found.value < found.high
    assert (found.halvings, found.pairs) == (1000, 40)


def test_as_many_pairs_as_are_named_make_the_map_as_reliable_as_wanted() -> None:
    named = split_half(effects(40, 0.15), names(40)).pairs_for(0.9)
    assert named is not None and 200 < named < 1000
    assert split_half(effects(named, 0.15), names(named)).value == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(("value", "pairs"), [(None, None), (-0.2, None), (0.0, None), (0.5, 180), (0.9, 20), (1.0, 0)])
def test_the_formula_is_solved_for_the_number_of_pairs(value: float | None, pairs: int | None) -> None:
    assert Reliability(value, None, None, 1000, 20).pairs_for(0.9) == pairs


def test_noise_has_none_and_equal_pairs_have_all() -> None:
    noise = split_half(effects(40, 0.0), names(40))
    assert noise.value == pytest.approx(0, abs=0.15)
    equal = split_half(np.tile(effects(1, 1.0), (40, 1)), names(40))
    assert equal.value == equal.low == pytest.approx(1.0)


def test_pairs_of_one_group_are_dealt_together() -> None:
    noise = effects(10, 0.0)
    thrice = np.repeat(noise, 3, axis=0)
    assert split_half(thrice, names(30)).value > 0.5, "wordings of one question are taken for other questions"
    assert split_half(thrice, [str(i // 3) for i in range(30)]).value == pytest.approx(
        split_half(noise, names(10)).value, abs=0.02
    )


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((3, 8), names(3)), ((12, 8), ["a", "b", "c"] * 4), ((12, 1), names(12)), ((12, 0), names(12))],
)
def test_it_is_undefined_for_few_groups_or_heads(shape: tuple[int, int], groups: list[str]) -> None:
    found = split_half(np.random.default_rng(0).normal(size=shape), groups)
    assert found.value is None and str(found) == "undefined" and found.halvings == 0
    assert split_half(np.ones((12, 8)), names(12)).value is None, "all heads alike"


def scores(**more: object) -> HeadScores:
    values = torch.zeros(6, 2, 2)
    values[:, 0, 0], values[:, 0, 1], values[:, 1, 0] = -1.0, 0.01, 0.5
    values[:, :, :] += 0.001 * torch.randn(6, 2, 2, generator=torch.Generator().manual_seed(0))
    return HeadScores(values, torch.zeros(6), "log_odds", "sweep", **more)  # type: ignore[arg-type]


def test_heads_under_the_noise_floor_are_told() -> None:
    rounding = Rounding(torch.tensor([[0.05, 0.0], [0.02, 0.01]]), 4, "bfloat16", "float32")
    found = scores(rounding=rounding)
    assert found.noise_floor == pytest.approx(0.05)
    assert found.above_noise is not None and found.above_noise.tolist() == [[True, False], [True, False]]
    table = found.to_pandas().set_index("head")
    assert table.above_noise.to_dict() == {"L0.H0": True, "L0.H1": False, "L1.H0": True, "L1.H1": False}
    assert table.attrs["noise_floor"] == found.noise_floor and table.attrs["reliability"] == found.reliability.value
    told = "noise floor 5.0e-02 (bfloat16 against float32, 4 pairs): 2 of 4 heads lie above it"
    for shown in (found.worth, found._repr_html_(), found.plot().layout.title.subtitle.text):
        assert told in shown and "split-half reliability" in shown


def test_a_map_without_a_floor_says_so_and_random_numbers_have_no_reliability() -> None:
    assert scores().worth.endswith("over 1000 halvings of 6 pairs; noise floor not measured")
    assert scores().to_pandas().above_noise.isna().all() and scores().above_noise is None
    assert scores(method="random").reliability.value is None
    probe = scores(method="probe")
    assert "noise floor" not in probe.worth and probe.reliability.value is not None


def test_a_subset_of_the_pairs_keeps_its_groups() -> None:
    found = scores(groups=("a", "a", "b", "c", "d", "e"))
    assert found.of([0, 1, 3]).groups == ("a", "a", "c") and found.of(slice(4)).groups == ("a", "a", "b", "c")
    assert found.reliability.value is not None and found.of([0, 1, 2, 3]).reliability.value is None
    assert scores().of([0, 2]).groups == ()


def test_kinds_of_nodes_have_floors_of_their_own() -> None:
    nodes = (Node("heads", 0, 0), Node("heads", 0, 1), Node("mlps", 0), Node("mlps", 1))
    errors = Rounding(torch.tensor([0.1, 0.2, 3.0, 4.0]), 2, "float16", "float32")
    values = torch.tensor([[0.15, 1.0, 1.0, 9.0]]).repeat(5, 1)
    values += 0.01 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    found = NodeScores(nodes, values, torch.zeros(5), "log_odds", "sweep", (2, 2), rounding=errors)
    assert found.noise_floor("heads") == pytest.approx(0.2) and found.noise_floor("mlps") == 4
    assert found.to_pandas().set_index("node").above_noise.to_dict() == {
        "L0.H0": False,
        "L0.H1": True,
        "L0.MLP": False,
        "L1.MLP": True,
    }
    heads = found.heads()
    assert heads.rounding is not None and heads.rounding.errors[Head(0, 1)] == pytest.approx(0.2)
    assert found.without("heads").noise_floor("mlps") == 4
    assert math.isfinite(found.reliability("heads").value or math.nan)


def test_a_standard_error_counts_groups_and_not_copies() -> None:
    values = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    alone = standard_error(values)
    assert torch.allclose(alone, values.std(dim=0) / 10**0.5)
    copies, groups = values.repeat_interleave(5, dim=0), [str(i) for i in range(10) for _ in range(5)]
    assert torch.allclose(standard_error(copies, groups), alone)
    assert torch.allclose(standard_error(values, [str(i) for i in range(10)]), alone)
    assert standard_error(values, ["one"] * 10).isnan().all() and standard_error(values[:1]).isnan().all()
    # Uneven: the mean is over pairs, so a group pulls it by the sum of its deviations.
    uneven, of = torch.tensor([1.0, 2.0, 4.0, 9.0]), ["a", "a", "b", "c"]
    pulls = torch.tensor([1 + 2 - 2 * 4.0, 4 - 4.0, 9 - 4.0])
    assert standard_error(uneven, of) == pytest.approx(float((pulls.square().sum() * 3 / 2).sqrt() / 4))
