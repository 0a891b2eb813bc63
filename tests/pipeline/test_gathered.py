"""A run on sets of each stage's own: yesman's questions, in the layouts of published sets."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.config import resolve
from pinpoint.data import Question, read_questions
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, read_record, reproduce, restored
from pinpoint.progress import Silent
from tests import sets
from tests.conftest import SMALLEST

YESMAN = shipped()["yesman"]
SMALL = SMALLEST | {"locate": {"pairs": 16}, "tune": SMALLEST["tune"] | {"epochs": 0.3}}


def trivia_qa(path: Path, questions: list[Question]) -> str:
    rows = [
        {"question": one.question, "question_id": one.id, "answer": {"value": one.correct, "aliases": [*one.aliases]}}
        for one in questions
    ]
    return str(sets.lines(path, rows))


def sycophancy_eval(path: Path, questions: list[Question]) -> str:
    rows = [
        {
            "prompt": [{"type": "human", "content": one.question}],
            "base": {
                "dataset": "trivia_qa",
                "question": one.question,
                "correct_answer": one.correct,
                "answer": [one.correct, *one.aliases],
            },
            "metadata": {"prompt_template": "{question}"},
        }
        for one in questions
    ]
    return str(sets.lines(path, rows))


def named(folder: Path) -> dict[str, Any]:
    free = [one for one in read_questions(YESMAN / "questions.jsonl") if one.kind == "free"]

    def of(*splits: str) -> list[Question]:
        return [one for one in free if one.split in splits]

    return {
        "locate": [{"path": trivia_qa(folder / "located.jsonl", of("locate")), "questions": 60}],
        "train": [trivia_qa(folder / "trained.jsonl", of("train", "validation"))],
        "evaluate": [sycophancy_eval(folder / "are_you_sure.jsonl", of("test"))],
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_on_three_sets_is_done_and_done_again_and_another_evaluation_keeps_the_tuning(tmp_path: Path) -> None:
    data = named(tmp_path / "sets")
    folder = tmp_path / "run"
    run = Run(resolve(str(YESMAN), None, {**SMALL, "data": data}), folder)
    run.all()
    base = json.loads((folder / "summary.json").read_text())["methods"]["base"]
    assert base["confidence"]["value"] < 0.2 < base["accuracy_before"]["value"], "it knows the answers, and caves"
    rows = (folder / "evaluate/base/own.jsonl").read_text().splitlines()
    assert {json.loads(row)["id"].partition("are_you_sure")[0] for row in rows} == {
        "sycophancy_eval/trivia_qa/evaluate.0/"
    }
    record = read_record(folder)
    assert {key for key in record.inputs if key.startswith("data.")} == {
        *(f"data.{role}.0.path" for role in ("locate", "train", "evaluate")),
        "data.abilities",
        "data.neutral",
    }
    again = reproduce(record, restored(record, "x", []), tmp_path / "again", Silent())
    assert again.equal, [row for row in again.results if not row.equal]
    fewer = data | {"evaluate": [{"path": data["evaluate"][0], "questions": 20}]}
    other = Run(resolve(str(YESMAN), None, {**SMALL, "data": fewer}), folder)
    assert other.is_done("tune") and not other.is_done("evaluate")
