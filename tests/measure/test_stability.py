"""The bootstrap of the ranking: certain where heads stand apart, chance where they do not, blind to repeated pairs."""

import dataclasses

import pytest
import torch

from pinpoint.heads import HeadScores
from pinpoint.measure import top_overlap


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
