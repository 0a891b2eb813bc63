"""Intervals: against closed forms, and paired where items are."""

import random
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest, norm, ttest_1samp

from pinpoint.measure import UNDEFINED, difference, estimate, share, share_difference, share_gap

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
    found = share_gap(first, second, **SETTINGS)
    assert found.value == pytest.approx(0.5)
    assert 0.3 < found.low < 0.5 < found.high < 0.7
    assert share_gap(([], []), second, **SETTINGS) == UNDEFINED


def test_one_group_has_a_mean_but_no_interval() -> None:
    assert estimate([1.0, 0.0], ["a", "a"], **SETTINGS) == (0.5, None, None, 2)


def test_few_groups_have_student_s_interval_and_a_share_of_few_wilson_s() -> None:
    values, groups = [0.0, 1.0, 2.0, 3.0, 6.0], list("abcde")
    few = estimate(values[:4], groups[:4], **SETTINGS)
    expected = ttest_1samp(values[:4], 0).confidence_interval(0.95)
    assert few == pytest.approx((1.5, expected.low, expected.high, 4))
    # Two wordings of one question make it weigh twice, and are no further group.
    double = estimate([*values[:3], 2.0], ["a", "b", "c", "c"], **SETTINGS)
    assert double.value == pytest.approx(1.25) and double.high - double.value > few.high - few.value
    found = estimate(values, groups, **SETTINGS)
    assert found.value == pytest.approx(2.4) and found.n == 5
    assert found.high - found.low < few.high - few.low
    wilson = binomtest(2, 3).proportion_ci(method="wilson")
    assert share([1.0, 0.0, 1.0], groups[:3], **SETTINGS)[1:3] == pytest.approx((wilson.low, wilson.high))
    assert share([1.0, 0.0], ["a", "a"], **SETTINGS).high < 1


def test_a_gap_with_few_groups_or_a_side_of_all_or_none_has_newcombes_interval() -> None:
    # Newcombe (1998), table II: 10/10 less 0/20 and 10/10 less 0/10, by his method 10.
    published = {(10, 10, 0, 20): (0.6791, 1.0), (10, 10, 0, 10): (0.6075, 1.0)}
    for (a, n, b, m), expected in published.items():
        first = [1.0] * a + [0.0] * (n - a), [f"a{i}" for i in range(n)]
        second = [1.0] * b + [0.0] * (m - b), [f"b{i}" for i in range(m)]
        assert share_gap(first, second, **SETTINGS)[1:3] == pytest.approx(expected, abs=5e-5)
    one = share_gap(([1.0], ["x"]), ([0.0] * 20, [str(i) for i in range(20)]), **SETTINGS)
    assert one.value == 1.0 and one.low is not None and one.low < 0.25 and one.n == 21
    assert share_gap(([1.0], ["a"]), ([0.0], ["a"]), **SETTINGS).low == pytest.approx(1 - 2**0.5 * 0.79345, abs=1e-4)


def test_a_difference_of_shares_leaves_room_for_what_no_pair_showed() -> None:
    names = [str(i) for i in range(20)]
    most = binomtest(0, 20).proportion_ci(method="wilson").high
    assert share_difference([1.0] * 20, [1.0] * 20, names, **SETTINGS) == pytest.approx((0.0, -most, most, 20))
    assert share_difference([1.0] * 20, [0.0] * 20, names, **SETTINGS) == pytest.approx((1.0, 1 - 2 * most, 1.0, 20))
    mixed = [1.0, 0.0] * 10
    expected = difference(mixed, [0.0] * 20, names, **SETTINGS)
    assert share_difference(mixed, [0.0] * 20, names, **SETTINGS) == expected
    two = share_difference([1.0, 1.0], [1.0, 0.0], names[:2], **SETTINGS)
    assert two == (0.5, -1.0, 1.0, 2)
    one = share_difference([1.0], [1.0], ["a"], **SETTINGS)
    assert one.low is not None and one.low < -0.7 and share_difference([], [], [], **SETTINGS) == UNDEFINED


def test_the_interval_holds_the_middle_of_the_means_of_groups_drawn_again() -> None:
    values, groups = [0.0, 1.0, 5.0, 2.0, 2.0, 8.0, 3.0, 4.0], list("aabbbcde")
    rng = np.random.default_rng(7)
    by_group = [[v for v, g in zip(values, groups, strict=True) if g == name] for name in "abcde"]
    means = [np.mean(sum((by_group[i] for i in rng.integers(0, 5, 5)), start=[])) for _ in range(6000)]
    found = estimate(values, groups, resamples=6000, seed=1)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.1)
    few = [estimate(values, groups, resamples=30, seed=seed) for seed in (1, 1, 2)]
    assert few[0] == few[1] != few[2]
    assert found.to_json() == {"value": found.value, "low": found.low, "high": found.high, "n": 8}


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_of_all_or_none_has_wilsons_interval_over_groups(value: float) -> None:
    found = share([value] * 20, [str(i // 2) for i in range(20)], **SETTINGS)
    wilson = binomtest(round(10 * value), 10).proportion_ci(method="wilson")
    assert found == pytest.approx((value, wilson.low, wilson.high, 20))
    assert share([value] * 2, ["a", "b"], **SETTINGS).n == 2
    assert share([], [], **SETTINGS) == UNDEFINED


def test_groups_that_all_have_one_share_leave_room_for_others() -> None:
    wordings = [str(i // 2) for i in range(20)]
    half = share([1.0, 0.0] * 10, wordings, **SETTINGS)
    wilson = binomtest(5, 10).proportion_ci(method="wilson")
    assert half == pytest.approx((0.5, wilson.low, wilson.high, 20))
    odd = share([1.0, 0.0] * 9, wordings[:18], **SETTINGS)
    assert odd.low is not None and odd.high is not None and odd.high > 0.7
    assert 0.5 - odd.low == pytest.approx(odd.high - 0.5)
    gained_and_lost = share_difference([1.0, 0.0] * 10, [0.0, 1.0] * 10, wordings, **SETTINGS)
    most = binomtest(0, 10).proportion_ci(method="wilson").high
    assert gained_and_lost == pytest.approx((0.0, -most, most, 20))
    gap = share_gap(([1.0, 0.0] * 10, wordings), ([1.0, 0.0, 0.0, 0.0] * 5, wordings), **SETTINGS)
    assert gap.low is not None and gap.high is not None and gap.low < 0 < gap.value < gap.high


def test_items_and_groups_have_to_match() -> None:
    for sides in (([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0])):
        with pytest.raises(ValueError, match="zip"):
            difference(*sides, ["a"], **SETTINGS)
    with pytest.raises(ValueError, match="length"):
        share_gap(([1.0, 2.0], ["a"]), ([1.0], ["a"]), **SETTINGS)


def test_a_difference_has_the_interval_of_its_seed() -> None:
    values, groups = [0.0, 1.0, 5.0, 2.0, 8.0, 3.0], list("abcdef")
    one, again, other = (difference(values, [1.0] * 6, groups, resamples=30, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_the_interval_of_a_gap_is_that_of_the_normal_approximation() -> None:
    first = norm.ppf((np.arange(200) + 0.5) / 200).tolist()
    second = (2 * norm.ppf((np.arange(300) + 0.5) / 300)).tolist()
    names = [f"a{i}" for i in range(200)], [f"b{i}" for i in range(300)]
    found = share_gap((first, names[0]), (second, names[1]), resamples=6000, seed=0)
    error = (np.var(first) / 200 + np.var(second) / 300) ** 0.5
    assert (found.low, found.high) == pytest.approx((-1.96 * error, 1.96 * error), abs=0.08 * error)


def test_any_other_share_has_the_interval_of_a_mean() -> None:
    values, groups = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0], list("abcdef")
    assert share(values, groups, **SETTINGS) == estimate(values, groups, **SETTINGS)


def test_a_gap_between_the_same_items_has_no_width_and_other_items_widen_it() -> None:
    values, groups = [0.0, 1.0, 1.0, 0.0, 1.0, 5.0], list("abcdef")
    same = share_gap((values, groups), (values, groups), **SETTINGS)
    assert same == (0.0, 0.0, 0.0, 12)
    apart = share_gap((values, groups), (values, [name + "x" for name in groups]), **SETTINGS)
    assert apart.low is not None and apart.high is not None and apart.low < -0.5 and apart.high > 0.5


def test_a_gap_is_of_means_over_items_whatever_their_groups() -> None:
    first = [1.0, 2.0, 6.0, 3.0, 3.0, 9.0], ["a", "a", "b", "c", "d", "e"]
    second = [1.0, 0.0, 2.0], ["a", "f", "f"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a draw may miss a side: that is nothing to warn of
        found = share_gap(first, second, **SETTINGS)
    assert found.value == pytest.approx(4 - 1) and found.n == 9
    rng = np.random.default_rng(3)
    drawn = []
    for names in rng.choice(list("abcdef"), (6000, 6)):
        means = []
        for values, groups in (first, second):
            some = [v for name in names for v, group in zip(values, groups, strict=True) if group == name]
            means.append(np.mean(some) if some else np.nan)
        drawn.append(means[0] - means[1])
    assert (found.low, found.high) == pytest.approx(tuple(np.nanpercentile(drawn, [2.5, 97.5])), abs=0.15)
    assert share_gap(first, ([], []), **SETTINGS) == UNDEFINED
