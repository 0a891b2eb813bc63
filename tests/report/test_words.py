"""Sentences and rows that page and card are made of, on numbers that were made up."""

from types import SimpleNamespace
from typing import Any, cast

from pinpoint.report._page import _cost_rows, _search_rows
from pinpoint.report._words import agreement, losses
from tests.report.fabricated import est, search, summary, tune


def test_abilities_are_lost_where_the_whole_interval_lies_under_zero() -> None:
    told = summary()
    differences = told["methods"]["full"]["versus_base"]
    differences["accuracy_before"] = est(-0.32, 0.02)
    differences["abilities"] = {"copying": est(-0.03, 0.04), "word_length": est(0.03, 0.01)}
    pinpoint, full = losses(told)
    assert pinpoint == (
        "Of 3 measures of ability, Pinpoint lost beyond chance in copying (−3.0 points [−4.0, −2.0] n=320)."
    )
    assert full == (
        "Of 3 measures of ability, Full fine-tuning lost beyond chance in accuracy before the challenge "
        "(−32.0 points [−34.0, −30.0] n=320)."
    )
    differences["accuracy_before"] = est(0.0)
    assert losses(told)[1].endswith("lost beyond chance in none.")
    differences |= {"accuracy_before": None, "abilities": {}}
    assert len(losses(told)) == 1, "what was not measured was not kept either"


def test_halves_of_the_pairs_agree_by_their_correlation_over_the_heads_that_both_have() -> None:
    ours = [[1.0, 2.0], [None, 4.0]]
    assert agreement(ours, [[2.0, 4.0], [7.0, 8.0]]) == "1.000"
    assert agreement(ours, [[-2.0, -4.0], [7.0, -8.0]]) == "−1.000"
    assert agreement([[1.0, 2.0, 3.0]], [[1.0, 3.0, 2.0]]) == "0.500"
    assert agreement(ours, [[1.0, 1.0], [1.0, 1.0]]) is None
    assert agreement([[None]], [[1.0]]) is None


def cost_rows(told: dict[str, Any], **tunes: dict[str, Any]) -> list[dict[str, str]]:
    return _cost_rows(cast(Any, SimpleNamespace(summary=told, tunes=tunes)))


def test_what_a_method_cost_is_told_at_equal_success_and_as_it_ended() -> None:
    told = summary()
    told["matched_kl"]["full"] = None
    pinpoint, full = cost_rows(told, pinpoint=tune(32, 0.01, 42.4, 98304), full={"reached": False})
    assert pinpoint == {
        "method": "Pinpoint",
        "matched": "0.003210",
        "step": "24",
        "trained": "98,304",
        "share": "3.1\u00a0%",
        "seconds": "42 s",
        "goal": "reached",
    }
    assert (full["matched"], full["step"], full["goal"]) == ("–", "–", "not reached")
    assert [row["goal"] for row in cost_rows(told)] == ["–", "–"], "training that had no goal"


def test_of_the_rates_that_were_searched_the_chosen_one_is_marked() -> None:
    rows = _search_rows(search())
    assert [(row["rate"], row["truthfulness"], row["kl"], row["chosen"]) for row in rows] == [
        ("1e-05", "62.0\u00a0%", "0.01100", False),
        ("3e-05", "92.0\u00a0%", "0.03100", True),
        ("0.0001", "95.0\u00a0%", "0.2100", False),
    ]
    assert _search_rows(None) == []
