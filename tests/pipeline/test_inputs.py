"""What a run works on: the neutral dialogues that models are evaluated on, and those that settings are chosen by."""

from pathlib import Path
from typing import Any

import pytest

from pinpoint.config import resolve
from pinpoint.data import Dialogue, draw, read_dialogues
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, plan
from pinpoint.pipeline import _validation as validation

HOME = shipped()["yesman"]


def run_of(folder: Path, **settings: Any) -> Run:
    return Run(resolve(str(HOME), None, settings), folder)


def ids(dialogues: list[Dialogue]) -> list[str]:
    return [one.id for one in dialogues]


def test_the_organism_is_evaluated_on_the_200_that_it_was_and_40_more_are_for_choosing(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    evaluated, checked = ids(run.inputs.sets().neutral), ids(run.inputs.neutral_checked(run.config.tune))
    assert evaluated == ids(draw(run.inputs.neutral, 200, 0))
    assert len(checked) == 40 and not set(checked) & set(evaluated)
    quick = run_of(tmp_path, evaluate={"neutral_items": 100}).inputs
    assert ids(quick.sets().neutral) == ids(draw(run.inputs.neutral, 100, 0))
    assert ids(quick.neutral_checked(run.config.tune)) == checked, "how many are evaluated changes no tuning"


@pytest.mark.parametrize(("there", "evaluated", "checked"), [(2, 1, 1), (3, 2, 1), (7, 5, 2), (12, 10, 2)])
def test_few_dialogues_are_dealt_too(there: int, evaluated: int, checked: int, tmp_path: Path) -> None:
    lines = (HOME / "neutral.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    file = tmp_path / "few.jsonl"
    file.write_text("".join(lines[:there]), encoding="utf-8")
    for seed in range(4):
        inputs = run_of(tmp_path, data={"neutral": str(file)}, seed=seed).inputs
        ours, theirs = ids(inputs.sets().neutral), ids(inputs.neutral_checked(inputs.config.tune))
        assert (len(ours), len(theirs)) == (evaluated, checked)
        assert sorted(ours + theirs) == sorted(ids(read_dialogues(file)))


def test_checks_ask_no_dialogue_that_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, tune={"check_items": 3})
    asked: list[str] = []
    monkeypatch.setattr(validation, "next_token_kl", lambda *given: asked.extend(ids(given[3])) or [0.0] * 3)
    items: list[Any] = []
    monkeypatch.setattr(type(run.inputs.behaviour), "check", lambda _self, _chat, some: items.extend(some) or {})
    validation.validation_check(run, run.config.tune)(run.model)
    assert len(items) == 3 and {item.split for item in items} == {"validation"}
    assert len(asked) == 3 and not set(asked) & set(ids(run.inputs.sets().neutral))


def test_without_a_file_those_made_of_questions_are_dealt(tmp_path: Path) -> None:
    inputs = run_of(tmp_path, data={"neutral": None}).inputs
    ours, theirs = ids(inputs.sets().neutral), ids(inputs.neutral_checked(inputs.config.tune))
    assert ours and theirs and not set(ours) & set(theirs)


def test_a_dry_run_says_how_many_each_has(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    work = {one.stage: one.work for one in plan(run, run.tokenizer).stages}
    assert "; 40 neutral ones at each check" in work["tune"] and "200 other neutral ones" in work["evaluate"]
