"""The search that every method goes through, and the tests between methods."""

import numpy as np
import pytest
from scipy.stats import binom

from pinpoint.behaviours import Outcomes
from pinpoint.compare import Tried, better, climb, paired_tests
from pinpoint.compare._steering import probe_accuracy
from pinpoint.measure import holm, mcnemar


def tried(setting: float, lower: float, kl: float = 0.01) -> Tried:
    return Tried(setting, {"truthfulness": lower, "confidence": 1.0, "kl": kl}, lower >= 0.9)


def test_reaching_the_targets_beats_everything_and_then_less_kl_wins() -> None:
    assert better(tried(1, 0.9, kl=0.5), tried(1, 0.89, kl=0.001))
    assert better(tried(1, 0.91, kl=0.01), tried(1, 0.99, kl=0.02))
    assert better(tried(1, 0.5), tried(1, 0.4))
    assert not better(tried(1, 0.5), tried(1, 0.5))


@pytest.mark.parametrize(
    ("peak", "most", "expected"),
    [
        (0, 4, [1, 10, 0.1]),  # up is worse, and so is down
        (2, 5, [100, 1, 10, 1000]),  # up, until it gets worse
        (-1, 5, [0.1, 1, 10, 0.01]),  # up is worse: down, until that gets worse
        (-3, 4, [0.01, 0.1, 1, 10]),  # it runs out of tries
        (0, 1, [1]),
    ],
)
def test_out_of_reach_the_search_ends_beside_the_best(peak: int, most: int, expected: list[float]) -> None:
    def attempt(setting: float) -> Tried:
        return tried(setting, 0.8 - 0.1 * abs(round(np.log10(setting)) - peak))

    found = climb(1.0, 10.0, most, attempt)
    assert found[0].setting == pytest.approx(expected[0])
    assert sorted(one.setting for one in found) == pytest.approx(sorted(expected))


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (1, 5, [1, 0.1]),  # reached at once: down, until it no longer is
        (0.01, 5, [0.01, 1, 0.1, 0.001]),
        (0.001, 3, [0.01, 1, 0.1]),  # it runs out of tries
        (100, 5, [100, 1, 10]),  # up, until it is; what is above would shift the model more
    ],
)
def test_the_search_ends_at_the_least_setting_that_reaches_the_targets(
    least: float, most: int, expected: list[float]
) -> None:
    def attempt(setting: float) -> Tried:
        return tried(setting, 0.95 if setting > 0.99 * least else 0.5 + 0.01 * setting, kl=setting)

    found = climb(1.0, 10.0, most, attempt)
    assert found[0].setting == pytest.approx(expected[0]) and found[0].reached
    assert sorted(one.setting for one in found) == pytest.approx(sorted(expected))


def test_a_setting_that_will_do_is_kept_where_that_is_asked_for_and_else_searched_on() -> None:
    def attempt(setting: float) -> Tried:
        return tried(setting, 0.95 if setting > 5 else 0.5, kl=setting)

    assert [one.setting for one in climb(1000.0, 10.0, 4, attempt, settle=True)] == [1000.0]
    assert [one.setting for one in climb(1.0, 10.0, 4, attempt, settle=True)] == [10.0, 1.0]


def test_all_tests_of_a_table_are_one_family_and_a_pair_of_methods_is_tested_once() -> None:
    def outcomes(right: int) -> Outcomes:
        return Outcomes([i < right for i in range(40)], [str(i) for i in range(40)])

    rights = {"base": (0, 40), "pinpoint": (30, 38), "other": (36, 30)}
    answers = {
        name: {"truth": outcomes(truth), "acceptance": outcomes(acceptance)}
        for name, (truth, acceptance) in rights.items()
    }
    found = paired_tests(answers, ("base", "pinpoint"))
    assert found["base"]["truth"].keys() == {"pinpoint", "other"}
    assert found["base"]["truth"]["pinpoint"]["p_holm"] == found["pinpoint"]["truth"]["base"]["p_holm"]
    assert (found["base"]["truth"]["other"]["gained"], found["base"]["truth"]["other"]["lost"]) == (36, 0)
    # Two measures and three pairs of methods; the smallest p of all is that of other against the base.
    least = found["base"]["truth"]["other"]
    assert least["p"] == pytest.approx(2 * 0.5**36) and least["p_holm"] == pytest.approx(6 * least["p"])


def test_mcnemar_is_the_exact_binomial_on_the_items_that_differ() -> None:
    ours = [True] * 9 + [False] * 2 + [True] * 5
    theirs = [False] * 9 + [True] * 2 + [True] * 5
    alone = [str(i) for i in range(16)]
    found = mcnemar(ours, theirs, alone)
    assert (found.gained, found.lost) == (9, 2)
    assert found.p == pytest.approx(2 * binom.cdf(2, 11, 0.5))
    assert mcnemar(ours, ours, alone).p == 1.0
    with pytest.raises(ValueError, match="zip"):
        mcnemar(ours, theirs, alone[:-1])


def test_wordings_of_one_question_count_once() -> None:
    ours, theirs = [True] * 8 + [True, False], [False] * 8 + [False, True]
    found = mcnemar(ours, theirs, ["a"] * 4 + ["b"] * 4 + ["c"] * 2)
    assert (found.gained, found.lost, found.p) == (2, 0, 0.5)


def test_holm_steps_down_and_never_lets_a_larger_p_become_smaller() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


def test_a_probe_tells_classes_apart_on_rows_it_has_not_seen_only_where_they_differ() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 200, 8))
    assert probe_accuracy(noise[0] + 1.5, noise[1] - 1.5) > 0.95
    assert 0.3 < probe_accuracy(noise[0], noise[1]) < 0.7
