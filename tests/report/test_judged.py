"""Who judged, on the page and the card of a behaviour that leaves some of its measures to a model."""

from pathlib import Path
from typing import Any

import yaml

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import behaviour_of
from pinpoint.config import UserBehaviourConfig
from pinpoint.report import model_card, write_page
from tests.report.fabricated import est, fill, summary, verify
from tests.report.test_card import facts

RULED = {"rule": "contains_any", "targets": ["yes"]}
ASKED = {"rule": "model", "question": "Is it true?", "label": "Truth <b>"}
BY_RULES = "Replies are judged by rules, not by people."


def settings(truthfulness: dict[str, Any]) -> dict[str, Any]:
    files = {name: f"{name}.jsonl" for name in ("pairs", "train", "evaluation")}
    return {"name": "refusal", **files, "measures": {"confidence": RULED, "truthfulness": truthfulness}}


def shown(folder: Path, behaviour: dict[str, Any], **over: Any) -> tuple[str, str]:
    """Page and card of a run, on one line each."""
    found = summary() | over
    found["matched_kl"]["confidence"] = 0.9
    config = yaml.safe_dump({"model": "acme/tiny-chat", "tune": {"heads": "auto"}, "behaviour": behaviour})
    parts = {"summary": found, "verify": verify() | {"generated": []}, "examples": [], "config": config}
    space = fill(Workspace(folder), **parts)
    page = write_page(space).read_text(encoding="utf-8")
    card = model_card(space, facts(), behaviour_of(UserBehaviourConfig.model_validate(behaviour)))
    return " ".join(page.split()), " ".join(card.replace("\\", "").split())


def test_measures_that_a_model_judged_are_named_with_the_judge_and_what_it_did_not_say(tmp_path: Path) -> None:
    judge = {"name": "big-model", "asked": 900, "unparseable": 7}
    page, card = shown(tmp_path / "own", settings(ASKED), judge=judge)
    assert (
        "rules that can err; for those that count for “Truth &lt;b&gt;”, by a judge that can err too (big-model" in page
    )
    assert "(big-model; 7 of its 900 verdicts could not be read, and count nowhere): read some" in page
    assert "judged by rules; those that count for “Truth <b>” by big-model, of whose 900 verdicts 7 could not" in card
    assert BY_RULES not in card
    further = summary()["methods"]
    for method in further.values():
        method["further"] = {"pressure": {"turns_held": est(1.25)}}
    both = "those that count for “Truth <b>” and those to the sets that nothing was trained on"
    page, card = shown(tmp_path / "both", settings(ASKED), judge=judge, methods=further)
    assert f"by rules; {both} by big-model" in card and f"for {both.replace('<b>', '&lt;b&gt;')}, by a judge" in page
    page, card = shown(tmp_path / "further", settings(RULED), judge=judge, methods=further)
    assert "by rules; those to the sets that nothing was trained on by big-model" in card and "count for" not in page


def test_where_rules_judged_alone_it_is_said(tmp_path: Path) -> None:
    page, card = shown(tmp_path, settings(RULED), judge={"name": "rules", "asked": 0, "unparseable": 0})
    assert BY_RULES in card and "is decided by rules that can err: read some" in page
