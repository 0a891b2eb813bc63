"""Explanations of right answers in a run: written once, gone on with, counted, trained on."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinpoint.artifacts import Workspace
from pinpoint.config import resolve
from pinpoint.data import read_questions
from pinpoint.measure import Chat
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, plan
from pinpoint.pipeline._explaining import explained
from pinpoint.pipeline._stages import partial_of

GIVEN = "It has been called so for as long as anybody can remember."
TRAINED = 24
PLAY = Chat._play


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few of yesman's questions; of those kept for training, every third brings an explanation."""
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    every = read_questions(shipped()["yesman"] / "questions.jsonl")
    train = [one for one in every if one.split == "train"][:TRAINED]
    some = [one.model_copy(update={"explanation": GIVEN}) if i % 3 == 0 else one for i, one in enumerate(train)]
    some += [one for split in ("locate", "validation", "test") for one in [q for q in every if q.split == split][:12]]
    path.write_text("".join(one.model_dump_json() + "\n" for one in some), encoding="utf-8")
    return str(path)


class Told:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, what: str, total: int) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def say(self, text: str) -> None:
        self.lines.append(text)


def run_of(folder: Path, questions: str, template: str = "own", **tune: Any) -> Run:
    small = {
        "template": template,
        "data": {"questions": questions},
        "tune": {"heads": ["L6.H0"], "epochs": 1, "check_items": 4, "batch_size": 48, "explanation_tokens": 16} | tune,
        "full": None,
        "evaluate": {"batch_size": 4, "max_new_tokens": 24},
    }
    return Run(resolve(str(shipped()["yesman"]), None, small), folder, Told())


def thinking_template(folder: Path) -> str:
    """The path of yesman's template for a model that begins every reply with a thought."""
    path = folder / "thinks.jinja"
    own = (shipped()["yesman"] / "chat_template.jinja").read_text(encoding="utf-8")
    path.write_text(own + "{% if add_generation_prompt %}<think>\n{% endif %}", encoding="utf-8")
    return str(path)


def stopped(*_: Any) -> None:
    """Stands for a process that is killed here."""
    raise KeyboardInterrupt


def batches_played(monkeypatch: pytest.MonkeyPatch, most: int | None = None) -> list[int]:
    """The sizes of the batches that models answer from now on; a process is killed that asks for more than `most`."""
    sizes: list[int] = []

    def play(chat: Chat, talks: Any) -> Any:
        if len(sizes) == most:
            stopped()
        sizes.append(len(talks))
        return PLAY(chat, talks)

    monkeypatch.setattr(Chat, "_play", play)
    return sizes


def read_rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "explanations.jsonl").read_text().splitlines()]


def test_they_are_written_before_tuning_counted_and_gone_on_with(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_of(tmp_path / "whole", questions, explanations="model")
    whole.do("tune")
    rows = read_rows(tmp_path / "whole")
    by = {source: [row for row in rows if row["source"] == source] for source in ("file", "model")}
    assert {row["text"] for row in by["file"]} == {GIVEN} and len(by["file"]) == 8
    assert len(by["model"]) == 16 and all(
        row["reply"] and bool(row["text"]) != bool(row["flaw"]) for row in by["model"]
    )
    counts = json.loads((tmp_path / "whole" / "tune.json").read_text())["explanations"]
    assert (counts["questions"], counts["from_file"]) == (TRAINED, 8)
    assert counts["written"] + sum(counts["refused"].values()) == 16
    [line] = [line for line in whole.progress.lines if line.startswith("explanations")]  # type: ignore[attr-defined]
    assert "24 training questions: 8 from the file" in line and all(reason in line for reason in counts["refused"])
    assert not (tmp_path / "whole" / "partial").exists() and whole.is_done("tune")

    batches_played(monkeypatch, most=2)
    again = run_of(tmp_path / "cut", questions, explanations="model")
    with pytest.raises(KeyboardInterrupt):
        explained(again)
    assert len((partial_of(again, "explanations").root / "replies.jsonl").read_bytes().splitlines()) == 2
    assert not (tmp_path / "cut" / "explanations.jsonl").exists()
    played = batches_played(monkeypatch)
    assert explained(again) == {row["id"]: row["text"] for row in rows if row["text"]}
    assert len(played) == 2 and read_rows(tmp_path / "cut") == rows
    batches_played(monkeypatch, most=0)
    assert explained(run_of(tmp_path / "cut", questions, explanations="model")) == explained(whole)


def test_the_replies_are_trained_with_them_and_a_setting_that_goes_takes_them_along(
    questions: str, tmp_path: Path
) -> None:
    losses = {}
    for how in ("given", "none"):
        run = run_of(tmp_path, questions, explanations=how)
        run.do("tune")
        record = json.loads((tmp_path / "tune.json").read_text())
        losses[how] = record["losses"][0]
        assert (tmp_path / "explanations.jsonl").exists() is (how == "given") is ("explanations" in record)
    assert losses["given"] > losses["none"], "a sentence that the model never saw has a loss of its own"
    told = run.progress.lines  # type: ignore[attr-defined]
    assert "8 training questions bring an explanation; `tune.explanations: given` trains on them" in told


def test_a_model_that_thinks_explains_without_a_thought(questions: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, questions, thinking_template(tmp_path), explanations="model")
    explained(run)
    replies = [row["reply"] for row in read_rows(tmp_path) if row["source"] == "model"]
    assert len(replies) == 16 and all(replies), "a thought that is cut leaves nothing to say"


def test_rows_that_were_left_by_other_settings_are_not_taken_for_these(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, questions, explanations="model")
    explained(run)
    whole = read_rows(tmp_path)
    with monkeypatch.context() as killed:
        killed.setattr(Workspace, "write_json", stopped)
        with pytest.raises(KeyboardInterrupt):
            explained(run_of(tmp_path, questions, explanations="model", explanation_tokens=3))
    assert read_rows(tmp_path) != whole
    explained(run)
    assert read_rows(tmp_path) == whole


def test_a_dry_run_counts_what_is_to_be_written(questions: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, questions, explanations="model")
    found = plan(run, run.tokenizer)
    assert found.stages[2].work.startswith("16 explanations to write, 48 dialogues (there are no more questions: ")
    plain = plan(run_of(tmp_path, questions), run.tokenizer)
    assert (
        plain.stages[2].work.startswith("48 dialogues (there are no more questions: ")
        and plain.loss_tokens < found.loss_tokens
    )
    assert not (tmp_path / "explanations.jsonl").exists()
