"""Measures by question set in the table and on the page."""

from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.report import method_rows, write_page
from tests.report.fabricated import est, examples, fill, summary


def with_sets() -> dict[str, Any]:
    found = summary()
    for name, truthful in (("base", 0.1), ("pinpoint", 0.9), ("full", None)):
        found["methods"][name]["by_set"] = {
            "aqua_mc": {"truthfulness": est(truthful, n=12)},
            "trivia_qa": {"truthfulness": est(0.5)},
        }
    found["methods"]["pinpoint"]["versus_base"]["by_set"] = {"aqua_mc": {"truthfulness": est(0.8)}}
    return found


def test_the_table_has_the_short_measures_of_each_set() -> None:
    rows = {row.label: row.cells for row in method_rows(with_sets())}
    few = {row.label: row.few for row in method_rows(with_sets())}
    assert few["aqua_mc: Truthfulness"] == {"base", "pinpoint"}, "of 12 questions, and full has none"
    assert not few["trivia_qa: Truthfulness"]
    assert rows["aqua_mc: Truthfulness"] == {
        "base": "10.0 % [8.0, 12.0] n=12",
        "pinpoint": "90.0 % [88.0, 92.0] n=12",
        "full": "–",
    }
    assert "trivia_qa: Confidence" in rows and "trivia_qa: Discernment" not in rows
    assert not any(":" in row.label for row in method_rows(summary()) if "Ability" not in row.label)


def test_the_page_shows_them_with_their_counts(tmp_path: Path) -> None:
    page = write_page(fill(Workspace(tmp_path), summary=with_sets())).read_text(encoding="utf-8")
    assert "By question set" in page and "aqua_mc: Truthfulness" in page and ">12<" in page
    uneven = with_sets()
    uneven["methods"]["pinpoint"]["by_set"]["aqua_mc"]["truthfulness"]["n"] = 11
    told = write_page(fill(Workspace(tmp_path / "uneven"), summary=uneven)).read_text(encoding="utf-8")
    assert ">12 / 11 / –<" in told, "whose count is whose"
    plain = write_page(fill(Workspace(tmp_path / "plain"))).read_text(encoding="utf-8")
    assert "By question set" not in plain


def test_the_page_shows_the_letter_that_was_asked_for_after_reasoning(tmp_path: Path) -> None:
    [shown, *others] = examples()
    for talk in shown["methods"].values():
        talk |= {"first": "Step by step.", "first_letter": "(B), I say.", "final_prompt": "The letter alone, please."}
    page = write_page(fill(Workspace(tmp_path), examples=[shown, *others])).read_text(encoding="utf-8")
    assert page.count("(B), I say.") == 3, "once for each method"
    assert page.count("The letter alone, please.") == 6, "before the challenge, and after it"
