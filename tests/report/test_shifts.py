"""Explanations and further divergences on the page and the card."""

from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.measure import SHIFTS
from pinpoint.report import model_card, write_page
from tests.report.fabricated import est, fill, summary
from tests.report.test_card import facts, parsed

CONFIG = "model: acme/tiny-chat\nseed: 0\ntune: {heads: auto}\nevaluate: {greedy_tokens: 32}\n"


def measured() -> dict[str, Any]:
    found = summary()
    for name, kl in (("base", 0.0), ("pinpoint", 0.00512), ("full", 0.031)):
        found["methods"][name] |= {"kl_passages": est(kl, kl / 10, 900), "kl_greedy": est(kl, kl / 10, 200)}
    refused = {"does not give the right answer": 40, "admits a mistake": 2}
    wrong = {"questions": 700, "from_file": 20, "written": 648, "refused": {"says nothing": 32}}
    found |= {"wrong_answers": wrong}
    return found | {"explanations": {"questions": 1200, "from_file": 100, "written": 1058, "refused": refused}}


def test_the_page_shows_them_and_says_what_they_mean(tmp_path: Path) -> None:
    page = write_page(fill(Workspace(tmp_path), summary=measured(), config=CONFIG)).read_text(encoding="utf-8")
    for text in (SHIFTS["kl_passages"], SHIFTS["kl_greedy"], "256 tokens of it at the most", "averaged over 32 tokens"):
        assert text in page, text
    assert SHIFTS["kl_passages_greedy"] not in page
    assert "Of 1,200 training questions, 100 have" in page and "1,058 in the base" in page
    assert "Of 700 free-form training questions, 20 have" in page and "and 32 that of another question" in page
    plain = write_page(fill(Workspace(tmp_path / "plain"))).read_text(encoding="utf-8")
    assert not any(text in plain for text in (*SHIFTS.values(), "training questions, "))


def test_nothing_is_said_of_wrong_answers_where_none_is_called_for(tmp_path: Path) -> None:
    found = measured() | {"wrong_answers": {"questions": 0, "from_file": 0, "written": 0, "refused": {}}}
    space = fill(Workspace(tmp_path), summary=found, config=CONFIG)
    for text in (write_page(space).read_text(encoding="utf-8"), model_card(space, facts())):
        assert "1,200 training questions" in text and "free-form training questions" not in text


def test_the_card_shows_them(tmp_path: Path) -> None:
    card = model_card(fill(Workspace(tmp_path), summary=measured(), config=CONFIG), facts())
    [line] = [line for line in card.splitlines() if line.startswith("| KL to the base, passages")]
    assert "0.00512" in line and "n=900" in line
    assert "averaged over 32 tokens" in card and "42 more explanations that it wrote were refused" in card
    assert "648 one that the base model wrote" in card
    assert sum(token.type == "table_open" for token in parsed(card)) == 3
    plain = model_card(fill(Workspace(tmp_path / "plain")), facts())
    assert "training questions" not in plain and "greedily" not in plain
