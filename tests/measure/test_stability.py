"""The bootstrap of the ranking: certain where heads stand apart, chance where they do not, blind to repeated pairs."""

import dataclasses

import numpy as np
import pytest
import torch

from pinpoint.heads import HeadScores
from pinpoint.measure import agreement_by_pairs, between, fewest_pairs, top_overlap
from pinpoint.measure._stability import _middle


def scores(effects: torch.Tensor) -> HeadScores:
    return HeadScores(effects, torch.zeros(len(effects)), "logit_diff", "sweep")


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(40, 5, 4, generator=torch.Generator().manual_seed(0))


def groups(count: int) -> list[str]:
    return [f"g{i}" for i in range(count)]


def test_heads_that_stand_apart_stay_first(noise: torch.Tensor) -> None:
    noise[:, 1, 2] -= 9
    noise[:, 3, 0] -= 7
    assert top_overlap(scores(noise), groups(40), 2) == (1.0, 1.0, 1.0, 40)


def test_heads_of_noise_do_not(noise: torch.Tensor) -> None:
    found = top_overlap(scores(noise), groups(40), 2)
    assert found.value is not None and 0.2 < found.value < 0.8
    assert found.low is not None and found.high is not None and found.low < found.value < found.high


def test_the_same_pairs_many_times_over_are_no_more_certain(noise: torch.Tensor) -> None:
    once = top_overlap(scores(noise), groups(40), 3, resamples=4000)
    again = top_overlap(scores(noise.repeat(5, 1, 1)), groups(40) * 5, 3, resamples=4000)
    assert again.value == pytest.approx(once.value, abs=0.02)
    apart = top_overlap(scores(noise.repeat(5, 1, 1)), groups(200), 3, resamples=4000)
    assert apart.value is not None and once.value is not None and apart.value > once.value + 0.1


def test_layers_without_heads_are_left_out_and_probes_rank_by_accuracy(noise: torch.Tensor) -> None:
    noise[:, 2] = 0
    noise[:, 4, 1] += 9
    probe = dataclasses.replace(scores(noise), method="probe", layers=(0, 1, 3, 4))
    assert top_overlap(probe, groups(40), 1).value == 1


def test_more_pairs_agree_more_with_other_pairs(noise: torch.Tensor) -> None:
    true = torch.linspace(-1, 1, 20).view(5, 4)
    other = torch.randn(40, 5, 4, generator=torch.Generator().manual_seed(1))
    rows = agreement_by_pairs(scores(2 * noise + true), groups(40), scores(2 * other + true), 4, [4, 16, 40])
    assert [row["pairs"] for row in rows] == [4, 16, 40]
    for measure in ("overlap", "correlation"):
        few, some, many = (row[measure]["value"] for row in rows)
        assert few < some < many <= 1


def test_pairs_of_the_same_question_count_once(noise: torch.Tensor) -> None:
    true = torch.linspace(-1, 1, 20).view(5, 4)
    fixed = scores(true.expand(2, -1, -1))
    alone = agreement_by_pairs(scores(2 * noise + true), groups(40), fixed, 4, [8], resamples=4000)
    five = agreement_by_pairs(
        scores((2 * noise + true).repeat(5, 1, 1)), groups(40) * 5, fixed, 4, [40], resamples=4000
    )
    assert five[0]["correlation"]["value"] == pytest.approx(alone[0]["correlation"]["value"], abs=0.01)


def test_the_probe_ranks_by_its_highest_accuracy() -> None:
    accuracy = torch.linspace(0, 1, 20).view(1, 5, 4).expand(6, -1, -1)
    probe = dataclasses.replace(scores(accuracy), method="probe")
    opposite = scores(-accuracy)
    [row] = agreement_by_pairs(probe, groups(6), opposite, 3, [6])
    assert row["overlap"]["value"] == row["correlation"]["value"] == pytest.approx(1.0)


def split_in_two() -> HeadScores:
    """Two pairs: on the first, head 2 of layer 1 is far ahead; on the second, head 1 is, but not as far."""
    effects = torch.zeros(2, 2, 3)
    effects[0, 1, 2], effects[1, 1, 1] = -5, -3
    return scores(effects)


def test_the_share_is_that_of_draws_of_as_many_groups_as_there_are() -> None:
    # Only where both draws are of the second group, one time in four, does another head come first.
    found = top_overlap(split_in_two(), ["a", "b"], 1, resamples=4000)
    assert found.value == pytest.approx(0.75, abs=0.02)
    assert (found.low, found.high, found.n) == (0.0, 1.0, 2)


def test_one_pair_is_one_draw_of_one_group() -> None:
    others = scores(split_in_two().effects[:1])
    one, both = agreement_by_pairs(split_in_two(), ["a", "b"], others, 1, [1, 2], resamples=4000)
    assert one["overlap"]["value"] == pytest.approx(0.5, abs=0.02)
    assert both["overlap"]["value"] == pytest.approx(0.75, abs=0.02)
    assert [(row["pairs"], row["overlap"]["n"], row["correlation"]["n"]) for row in (one, both)] == [(1,) * 3, (2,) * 3]


def test_every_draw_counts(noise: torch.Tensor) -> None:
    [row] = agreement_by_pairs(scores(noise), groups(40), scores(noise), 4, [40], resamples=1)
    for measure in ("overlap", "correlation"):
        assert row[measure]["value"] == row[measure]["low"] == row[measure]["high"]


def test_draws_are_the_seeds_and_a_thousand_from_zero_unless_told(noise: torch.Tensor) -> None:
    plain = top_overlap(scores(noise), groups(40), 4)
    assert plain == top_overlap(scores(noise), groups(40), 4, resamples=1000, seed=0)
    assert plain != top_overlap(scores(noise), groups(40), 4, seed=1)
    asked = scores(noise), groups(40), scores(noise[:20]), 4, [10]
    assert agreement_by_pairs(*asked) == agreement_by_pairs(*asked, resamples=1000, seed=0)
    assert agreement_by_pairs(*asked) != agreement_by_pairs(*asked, seed=1)


def test_the_interval_is_the_middle_95_percent() -> None:
    assert _middle(np.arange(1001.0), 7) == {"value": 500.0, "low": 25.0, "high": 975.0, "n": 7}
    found = top_overlap(scores(torch.zeros(2, 1, 1)), ["a", "b"], 1)
    assert found == (1.0, 1.0, 1.0, 2)


def test_of_heads_that_tie_the_first_in_order_come_first() -> None:
    effects = torch.zeros(6, 5, 8)
    effects[:, :, ::2] = -1
    tied = scores(effects)
    assert top_overlap(tied, groups(6), 7) == (1.0, 1.0, 1.0, 6)
    [row] = agreement_by_pairs(tied, groups(6), tied, 7, [6])
    assert row["overlap"]["value"] == 1.0
    others = effects.clone()
    others[:, 0, :8:2] -= 1
    others[:, 1, :6:2] -= 1
    [row] = agreement_by_pairs(tied, groups(6), scores(others), 7, [6])
    assert row["overlap"]["value"] == 1.0


def test_layers_without_heads_play_no_part_in_a_ranking(noise: torch.Tensor) -> None:
    effects = noise.abs() + 0.1
    effects[:, 2] = 0
    left_out = dataclasses.replace(scores(effects), layers=(0, 1, 3, 4))
    assert top_overlap(left_out, groups(40), 3) == top_overlap(scores(effects[:, [0, 1, 3, 4]]), groups(40), 3)
    noise[:, 4, 3] -= 9
    assert top_overlap(scores(noise), groups(40), 1).value == 1, "the last layer counts too"


def test_it_takes_more_pairs_where_heads_lie_closer(noise: torch.Tensor) -> None:
    apart = noise.clone()
    apart[:, 0, 0] -= 30
    assert fewest_pairs(scores(apart), groups(40), 1) == 4
    near = noise.clone()
    near[:, 0, 0] -= 0.9
    some = fewest_pairs(scores(near), groups(40), 1)
    assert some is not None and 4 < some < 40
    # Of that many pairs, some 95 % of the draws put the head first; of half as many, they do not.
    half, whole = agreement_by_pairs(scores(near), groups(40), scores(near), 1, [some // 2, some])
    assert half["agreeing"] < 0.92 < whole["agreeing"]
    assert fewest_pairs(scores(noise), groups(40), 4) is None, "the first heads of noise are never settled"
    few = torch.zeros(40, 5, 4)
    few[:, 0, 0] = -1.0
    assert fewest_pairs(scores(few), ["one"] * 39 + ["other"], 1) == 4


def test_maps_are_compared_two_at_a_time(noise: torch.Tensor) -> None:
    true = torch.linspace(-1, 1, 20).view(5, 4)
    one, same, turned = scores(true + noise), scores(true + noise), scores(noise - true)
    found = between({"a": one, "b": same, "c": turned}, [1, 4])
    assert [couple["of"] for couple in found["couples"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    equal, opposite, _ = found["couples"]
    assert equal["correlation"] == pytest.approx(1) and equal["overlap"] == {"1": 1.0, "4": 1.0}
    assert opposite["correlation"] < -0.5 and opposite["overlap"]["4"] == 0
    assert equal["ceiling"] == pytest.approx(one.reliability.value)
    assert found["maps"]["a"]["pairs"] == 40 and found["maps"]["c"]["top"] == list(map(str, turned.top(4)))


def test_maps_of_noise_have_no_ceiling() -> None:
    nothing = scores(torch.zeros(8, 5, 4))
    [couple] = between({"a": nothing, "b": nothing}, [2])["couples"]
    assert couple["correlation"] is None and couple["ceiling"] is None


def test_of_fewer_heads_than_are_asked_for_all_overlap() -> None:
    one = scores(torch.randn(8, 2, 2, generator=torch.Generator().manual_seed(0)))
    assert between({"a": one, "b": one}, [10])["couples"][0]["overlap"] == {"10": 1.0}
