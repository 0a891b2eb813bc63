"""Wrong answers in a run: written once, gone on with, counted, trained on."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.artifacts import Workspace
from pinpoint.data import Question, read_questions
from pinpoint.measure import Chat
from pinpoint.organism import shipped
from pinpoint.pipeline import plan
from pinpoint.pipeline._explaining import explained
from pinpoint.pipeline._stages import partial_of
from pinpoint.pipeline._wrong_answers import trained, wrong_counts, wrong_written
from tests.pipeline.test_explaining import batches_played, run_of, stopped, thinking_template

TRAINED = 24


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few of yesman's questions; of those kept for training, all but every third lack a wrong answer of their own."""
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    every = read_questions(shipped()["yesman"] / "questions.jsonl")
    train = [one for one in every if one.split == "train" and one.kind == "free"][:TRAINED]
    some = [one.model_copy(update={"dealt": i % 3 > 0}) for i, one in enumerate(train)]
    some += [next(one for one in every if one.split == "train" and one.kind == "choice")]
    some += [one for split in ("locate", "validation", "test") for one in [q for q in every if q.split == split][:12]]
    path.write_text("".join(one.model_dump_json() + "\n" for one in some), encoding="utf-8")
    return str(path)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "wrong_answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_they_are_written_before_tuning_counted_and_trained_on(questions: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, questions, wrong_answers="model")
    run.do("tune")
    rows = {row["id"]: row for row in read_rows(tmp_path)}
    before: dict[str, Question] = {one.id: one for one in run.inputs.questions("train")}
    assert rows.keys() == {name for name, one in before.items() if one.kind == "free"} and len(rows) == TRAINED
    assert all((row["source"] == "file") is not before[name].dealt for name, row in rows.items())
    assert all(bool(row["flaw"]) is (row["source"] == "dealt") for row in rows.values())
    counts = json.loads((tmp_path / "tune.json").read_text(encoding="utf-8"))["wrong_answers"]
    assert (counts["questions"], counts["from_file"]) == (TRAINED, TRAINED // 3)
    assert counts["written"] == sum(row["source"] == "model" for row in rows.values()) > 0
    assert sum(counts["refused"].values()) == sum(row["source"] == "dealt" for row in rows.values())
    [line] = [line for line in run.progress.lines if line.startswith("wrong answers to")]  # type: ignore[attr-defined]
    assert "24 free-form training questions: 8 from the file" in line and all(why in line for why in counts["refused"])
    after = {one.id: one.wrong for one in trained(run)}
    assert after == {name: rows[name]["text"] if name in rows else one.wrong for name, one in before.items()}
    assert not (tmp_path / "partial").exists() and run.is_done("tune")

    dealt = run_of(tmp_path, questions)
    assert not dealt.is_done("tune") and trained(dealt) == dealt.inputs.questions("train")
    assert not list(tmp_path.glob("wrong_answers.*"))


def test_what_was_written_before_a_kill_is_not_written_again(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = wrong_written(run_of(tmp_path / "whole", questions, wrong_answers="model"))
    batches_played(monkeypatch, most=2)
    run = run_of(tmp_path / "cut", questions, wrong_answers="model")
    with pytest.raises(KeyboardInterrupt):
        wrong_written(run)
    assert len((partial_of(run, "wrong_answers").root / "replies.jsonl").read_bytes().splitlines()) == 2
    assert not (tmp_path / "cut" / "wrong_answers.jsonl").exists()
    played = batches_played(monkeypatch)
    assert wrong_written(run) == whole and len(played) == 2, "16 answers, 4 at once: half were there"
    batches_played(monkeypatch, most=0)
    assert wrong_written(run_of(tmp_path / "cut", questions, wrong_answers="model")) == whole


def test_an_explanation_is_held_to_the_wrong_answer_that_is_trained_on(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, questions, wrong_answers="model", explanations="model")
    wrong, asked = wrong_written(run), {one.question: one for one in run.inputs.questions("train")}

    def swayed(chat: Chat, dialogues: Any) -> list[str]:
        about = [asked[dialogue[-1]["content"].partition("\n\nThe right answer")[0]] for dialogue in dialogues]
        return [f"Many people say it is {one.correct}. But it is {wrong.get(one.id, one.wrong)}." for one in about]

    monkeypatch.setattr(Chat, "replies", swayed)
    explained(run)
    rows = [json.loads(line) for line in (tmp_path / "explanations.jsonl").read_text(encoding="utf-8").splitlines()]
    held = {row["id"]: row["flaw"] for row in rows if row["id"] in wrong}
    assert held == dict.fromkeys(wrong, "goes over to the wrong answer") and held


def test_a_model_that_thinks_writes_them_without_a_thought(questions: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, questions, thinking_template(tmp_path), wrong_answers="model")
    wrong_written(run)
    replies = [row["reply"] for row in read_rows(tmp_path) if row["source"] != "file"]
    assert len(replies) == 16 and all(replies), "a thought that is cut leaves nothing to say"


def test_rows_that_were_left_by_other_settings_are_not_taken_for_these(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, questions, wrong_answers="model")
    whole = wrong_written(run)
    with monkeypatch.context() as killed:
        killed.setattr(Workspace, "write_json", stopped)
        with pytest.raises(KeyboardInterrupt):
            wrong_written(run_of(tmp_path, questions, thinking_template(tmp_path), wrong_answers="model"))
    assert {row["id"]: row["text"] for row in read_rows(tmp_path) if row["source"] == "model"} != whole
    assert wrong_written(run) == whole


def test_nothing_is_said_of_them_where_every_question_has_options(tmp_path: Path) -> None:
    path = tmp_path / "choices.jsonl"
    every = read_questions(shipped()["yesman"] / "questions.jsonl")
    some = [one for split in ("train", "locate", "validation", "test") for one in every if one.split == split]
    path.write_text("".join(one.model_dump_json() + "\n" for one in some if one.kind == "choice"), encoding="utf-8")
    run = run_of(tmp_path / "run", str(path), wrong_answers="model")
    assert wrong_written(run) == {} and wrong_counts(run)["wrong_answers"]["questions"] == 0
    assert not [line for line in run.progress.lines if "wrong answers" in line]  # type: ignore[attr-defined]


def test_a_dry_run_counts_what_is_to_be_written(questions: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, questions, wrong_answers="model")
    found = plan(run, run.tokenizer)
    assert found.stages[2].work.startswith("16 wrong answers to write, 50 dialogues")
    assert plan(run_of(tmp_path, questions), run.tokenizer).stages[2].work.startswith("50 dialogues")
    assert not (tmp_path / "wrong_answers.jsonl").exists()
