"""The bootstrap of the ranking: certain where heads stand apart, chance where they do not, blind to repeated pairs."""

import dataclasses

import pytest
import torch

from pinpoint.heads import HeadScores
from pinpoint.measure import agreement_by_pairs, top_overlap


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
