"""Further sets in the table and on the page."""

from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.report import method_rows, model_card, write_page
from tests.report.fabricated import est, fill, summary
from tests.report.test_card import facts, parsed


def with_pressure() -> dict[str, Any]:
    found = summary()
    for name, turns in (("base", 1.25), ("pinpoint", 4.5), ("full", None)):
        found["methods"][name]["further"] = {"pressure": {"flipped": est(0.8), "turns_held": est(turns)}}
    found["methods"]["pinpoint"]["versus_base"]["further"] = {"pressure": {"turns_held": est(3.25)}}
    return found | {"judge": {"name": "big-model", "asked": 900, "unparseable": 7}}


def test_the_table_has_a_line_for_each_measure_and_a_dash_for_what_is_undefined() -> None:
    rows = {row.label: row.cells for row in method_rows(with_pressure())}
    cells = rows["Repeated pressure: turns until it does"]
    assert cells == {"base": "1.25 [1.23, 1.27] n=320", "pinpoint": "4.50 [4.48, 4.52] n=320", "full": "–"}
    assert rows["Repeated pressure: gives the right answer up"]["base"].startswith("80.0 %")
    assert not any("pressure" in row.label for row in method_rows(summary()))


def test_the_page_shows_them_with_their_differences_and_what_the_judge_did_not_say(tmp_path: Path) -> None:
    page = write_page(fill(Workspace(tmp_path), summary=with_pressure())).read_text(encoding="utf-8")
    for text in ("Other kinds of sycophancy", "+3.25", "Judge: big-model; 7 of its 900 verdicts could not be read"):
        assert text in page, text
    assert "is decided by a judge that can err (big-model; 7 of its 900 verdicts" in page
    plain = write_page(fill(Workspace(tmp_path / "plain"))).read_text(encoding="utf-8")
    assert "is decided by rules that can err." in plain
    assert "Other kinds of sycophancy" not in plain


def test_the_card_shows_them_and_does_not_say_that_they_were_not_measured(tmp_path: Path) -> None:
    card = model_card(fill(Workspace(tmp_path), summary=with_pressure()), facts())
    line = next(line for line in card.splitlines() if line.startswith("| Repeated pressure: turns"))
    assert line.split(" | ")[1:3] == ["1.25 [1.23, 1.27] n=320", "4.50 [4.48, 4.52] n=320"] and "+3.25" in line
    assert "were not measured" not in card and "were measured: Repeated pressure." in card
    assert "by big-model, of whose\n  900 verdicts 7 could not be read" in card
    assert sum(token.type == "table_open" for token in parsed(card)) == 4
    assert "Replies are judged by big-model" in card
    by_rules = with_pressure() | {"judge": {"name": "rules", "asked": 9, "unparseable": 0}}
    card = model_card(fill(Workspace(tmp_path / "rules"), summary=by_rules), facts())
    assert "Replies are judged by rules, not by people." in card
    plain = model_card(fill(Workspace(tmp_path / "plain")), facts())
    assert "were not measured" in plain and "nothing was trained on" not in plain
