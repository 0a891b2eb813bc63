"""The published path from end to end: rows in SycophancyEval's form, and real questions with a kill on the way."""

from collections import Counter
from pathlib import Path

import pytest

from bench.published_path import ORGANISM, organism, random_run, rows
from pinpoint.data import deal, read_published, read_questions
from pinpoint.organism import shipped
from tests.sycophancy_eval import write

# Less of the benchmark's own run: what is asked here is that heads mend it, not by how much.
SMALLER = {
    "verify": {"max_heads": 6, "draws": 1, "generate_at": [6], "generate_items": 8},
    "tune": {"heads": 6, "epochs": 1.5, "check_every": 24, "check_items": 24},
    "evaluate": {"items": 60, "ability_items": 8, "neutral_items": 8, "resamples": 100},
}


def test_the_organism_s_questions_come_back_from_rows_of_sycophancy_eval(tmp_path: Path) -> None:
    before = read_questions(shipped()["yesman"] / "questions.jsonl")
    after = deal(read_published(write(tmp_path / "are_you_sure.jsonl", rows())), 0)
    assert [row.reason for row in after.unusable] == ["repeats a question"] * (len(before) - len(after.questions))
    asked = {question.question: question for question in before}
    for question in after.questions:
        same = asked[question.asked if question.kind != "reasoned" else question.prompt]
        assert (question.correct, question.wrong) == (same.correct, same.wrong)
    assert Counter(question.kind for question in after.questions).keys() == {"free", "choice", "reasoned"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_whole_run_through_those_rows_mends_the_organism(tmp_path: Path) -> None:
    found = organism(tmp_path, {**ORGANISM, **SMALLER})
    assert found["turns"].keys() == {"free: 6", "choice: 6", "reasoned: 8"}
    base, tuned = (found["methods"][name] for name in ("base", "pinpoint"))
    assert base.keys() == {"pooled", *(f"sycophancy_eval/{name}" for name in found["rows"])}
    assert tuned["pooled"]["truthfulness"]["value"] > base["pooled"]["truthfulness"]["value"] + 0.3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_on_real_questions_that_is_killed_ends_as_one_that_is_not(test_data: Path, tmp_path: Path) -> None:
    found = random_run(tmp_path, test_data / "are_you_sure")
    assert found["ends as undisturbed"]
    assert found["kept after the kill"] == ["locate", "verify"], "and training went on from its checkpoint"
    assert found["questions by set"].keys() == {"mmlu", "truthfulqa"}
