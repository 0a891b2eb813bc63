"""The search that every method goes through, and the tests between methods."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from pinpoint.behaviours import Outcomes
from pinpoint.compare import Amounts, Tried, better, climb, paired_tests
from pinpoint.compare._steering import probe_accuracy
from pinpoint.measure import holm, mcnemar, sign_flips


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


def test_all_tests_of_a_table_are_one_family_and_a_pair_of_methods_is_tested_once() -> None:
    def outcomes(right: int) -> Outcomes:
        return Outcomes([i < right for i in range(40)], [str(i) for i in range(40)])

    rights = {"base": (0, 40), "pinpoint": (30, 38), "other": (36, 30)}
    answers = {
        name: {"truth": outcomes(truth), "acceptance": outcomes(acceptance)}
        for name, (truth, acceptance) in rights.items()
    }
    found = paired_tests(answers, ("base", "pinpoint"), 0)
    assert found["base"]["truth"].keys() == {"pinpoint", "other"}
    assert found["base"]["truth"]["pinpoint"]["p_holm"] == found["pinpoint"]["truth"]["base"]["p_holm"]
    assert (found["base"]["truth"]["other"]["gained"], found["base"]["truth"]["other"]["lost"]) == (36, 0)
    # Two measures and three pairs of methods; the smallest p of all is that of other against the base.
    least = found["base"]["truth"]["other"]
    assert least["p"] == pytest.approx(2 * 0.5**36) and least["p_holm"] == pytest.approx(6 * least["p"])


def test_amounts_are_tested_by_their_mean_where_both_methods_have_them() -> None:
    names = [str(i) for i in range(12)]
    outcomes = Outcomes([True] * 12, names)
    shift = {"pinpoint": [0.1] * 12, "far": [0.3 + 0.01 * i for i in range(12)], "near": [0.1, 0.1, *[0.1] * 10]}
    answers: dict[str, dict[str, Outcomes | Amounts]] = {"base": {"truth": outcomes}}
    answers |= {name: {"truth": outcomes, "kl": Amounts(values, names)} for name, values in shift.items()}
    found = paired_tests(answers, ("base", "pinpoint"), 0)
    assert "kl" not in found["base"], "the base has no distance from itself to test"
    assert found["pinpoint"]["kl"].keys() == {"far", "near"} and found["pinpoint"]["truth"].keys() > {"base"}
    far = found["pinpoint"]["kl"]["far"]
    assert far["p"] == pytest.approx(2 / 2**12, rel=0.3) and found["pinpoint"]["kl"]["near"]["p"] == 1.0
    # Of outcomes five pairs of methods, of amounts two.
    assert far["p_holm"] == pytest.approx(7 * far["p"])


def test_an_amount_that_one_method_alone_has_is_not_tested() -> None:
    names = [str(i) for i in range(5)]
    outcomes = Outcomes([True] * 5, names)
    answers: dict[str, dict[str, Outcomes | Amounts]] = {
        "base": {"truth": outcomes},
        "pinpoint": {"truth": outcomes, "kl": Amounts([0.1] * 5, names)},
    }
    found = paired_tests(answers, ("base", "pinpoint"), 0)
    assert found["pinpoint"]["kl"] == {} and found["pinpoint"]["truth"].keys() == {"base"}
    assert sign_flips({}, [0.1], ["a"], seed=0) == {}


def test_flipped_signs_give_the_exact_p_value_and_those_of_a_group_flip_together() -> None:
    ours, theirs = [0.9, 0.4, 0.8, 0.7, 0.95, 0.3, 0.65, 0.5], [0.5, 0.5, 0.35, 0.6, 0.3, 0.38, 0.3, 0.2]
    differences = np.subtract(ours, theirs)

    def exact(sums: np.ndarray) -> float:
        signs = np.array(list(product((1, -1), repeat=len(sums))))
        return float((np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12).mean())

    alone, pairs = [str(i) for i in range(8)], [str(i // 2) for i in range(8)]
    for groups, sums in ((alone, differences), (pairs, differences.reshape(4, 2).sum(axis=1))):
        found = sign_flips({"ours": ours, "same": theirs}, theirs, groups, seed=1)
        assert found["ours"] == pytest.approx(exact(sums), rel=0.05), groups
        assert found["same"] == 1.0
    assert sign_flips({"a": ours}, theirs, alone, seed=3) == sign_flips({"a": ours}, theirs, alone, seed=3)


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
