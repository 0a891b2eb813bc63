"""Intervals: against closed forms, and paired where items are."""

import random

import pytest

from pinpoint.measure import UNDEFINED, difference, estimate, gap

SETTINGS = {"resamples": 4000, "seed": 0}


def test_nothing_to_average_is_undefined_and_not_zero() -> None:
    assert estimate([], [], **SETTINGS) == UNDEFINED
    assert UNDEFINED.value is None and UNDEFINED.n == 0


def test_the_interval_of_a_rate_is_that_of_the_normal_approximation() -> None:
    rng = random.Random(0)
    values = [float(rng.random() < 0.3) for _ in range(400)]
    found = estimate(values, [str(i) for i in range(400)], **SETTINGS)
    rate = sum(values) / 400
    half = 1.96 * (rate * (1 - rate) / 400) ** 0.5
    assert found.value == pytest.approx(rate)
    assert (found.low, found.high) == pytest.approx((rate - half, rate + half), abs=0.006)


def test_items_of_one_group_count_as_one_draw() -> None:
    values = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0] * 20
    alone = estimate(values, [str(i) for i in range(120)], **SETTINGS)
    clustered = estimate(values, [str(i // 3) for i in range(120)], **SETTINGS)
    assert clustered.high - clustered.low > 1.5 * (alone.high - alone.low)


def test_a_constant_paired_difference_has_no_width() -> None:
    values = [0.1 * i for i in range(20)]
    found = difference([v + 1 for v in values], values, [str(i) for i in range(20)], **SETTINGS)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))


def test_a_gap_of_two_means_over_different_items() -> None:
    first = ([1.0] * 30, [str(i) for i in range(30)])
    second = ([0.0, 1.0] * 20, [str(i) for i in range(40)])
    found = gap(first, second, **SETTINGS)
    assert found.value == pytest.approx(0.5)
    assert 0.3 < found.low < 0.5 < found.high < 0.7
    assert gap(([], []), second, **SETTINGS) == UNDEFINED


def test_one_group_has_a_mean_but_no_interval() -> None:
    assert estimate([1.0, 0.0], ["a", "a"], **SETTINGS) == (0.5, None, None, 2)
