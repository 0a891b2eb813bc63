"""Questions that training shares with what is evaluated, located or verified: refused, with both places."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.data import Question, deal, read_published
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from pinpoint.pipeline._leaks import no_leak
from tests import sets

SPLITS = ("locate", "train", "validation", "test")


def question(text: str, place: str = "") -> Question:
    fields = {"id": text, "group": text, "split": "train", "kind": "free", "correct": "a", "wrong": "b"}
    return Question.model_validate({**fields, "question": text}).at(place)


def test_sets_that_share_nothing_pass_and_say_what_was_compared() -> None:
    passed = no_leak({"training": [question("What?")], "evaluation": [question("Who?")]})
    assert passed.ok and passed.detail.endswith("1 for training, 1 for evaluation")


def test_a_shared_question_is_refused_with_both_places_and_the_mend() -> None:
    sets = {"training": [question("What is  it?", "a.jsonl:3")], "evaluation": [question("what is it", "b.jsonl:9")]}
    with pytest.raises(
        InputError, match=r"1 question\(s\) for evaluation .* training too: a.jsonl:3 and b.jsonl:9 \('wh"
    ):
        no_leak(sets)
    with pytest.raises(InputError, match=r"7 question\(s\).*; and 2 more\. .* Take them out of one of the two"):
        no_leak({name: [question(f"Number {i}?") for i in range(7)] for name in sets})


def rows(shared: tuple[str, str]) -> list[dict[str, str]]:
    made = []
    for i, split in enumerate(SPLITS * 4):
        made.append({"id": str(i), "group": str(i), "split": split, "question": f"How many legs has animal {i}?"})
    for i, split in enumerate(shared):
        made.append({"id": f"s{i}", "group": f"s{i}", "split": split})
        made[-1]["question"] = "Who wrote Emma?" if i else "Who  wrote ‘Emma’?"
    return [row | {"kind": "free", "correct": "a", "wrong": "b"} for row in made]


@pytest.mark.parametrize(
    "shared", [("train", "test"), ("train", "locate"), ("validation", "test"), ("train", "validation")]
)
@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_run_refuses_before_anything_is_done(tmp_path: Path, shared: tuple[str, str], dry: list[str]) -> None:
    path, out = tmp_path / "q.jsonl", tmp_path / "run"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(shared)))
    command = ["run", str(shipped()["truth-teller"]), "--questions", str(path), "--out", str(out), *dry]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2
    places = sorted(part for part in (f"{path}:17", f"{path}:18") if part in str(done.exception))
    assert len(places) == 2, str(done.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    ("shared", "first"),
    [("Who wrote book 3?", "train"), ("How high is mountain 2?\n(A) 2\n(B) 3\n(C) 4\n(D) 5", "locate")],
)
def test_a_question_that_sets_of_two_stages_share_is_refused_with_both_lines(
    tmp_path: Path, shared: str, first: str
) -> None:
    leaky = sets.sycophancy_eval(tmp_path / "are_you_sure.jsonl", 8, (shared,))
    named = {"locate": sets.mmlu(tmp_path / "mmlu" / "dev.csv", 8), "train": sets.trivia_qa(tmp_path / "t.json", 30)}
    data = {role: str(path) for role, path in {**named, "evaluate": leaky}.items()}
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps({"data": data}))
    command = ["run", "yesman", "--config", str(settings), "--out", str(tmp_path / "run"), "--dry-run"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, InputError) and done.exception.exit_code == 2
    line = {"train": 4, "locate": 3}[first]
    assert f"{named[first]}:{line} and {leaky}:9" in str(done.exception)
    assert "data.leave_out_shared: true takes them out" in str(done.exception)
    settings.write_text(json.dumps({"data": data | {"leave_out_shared": True}}))
    assert CliRunner().invoke(app, command).exit_code == 0


def test_a_published_set_with_passages_is_dealt_so_that_none_is_cut_through(test_data: Path) -> None:
    dealt = deal(read_published(test_data / "are_you_sure" / "mmlu_are_you_sure.jsonl"), seed=0)
    assert no_leak({name: [one for one in dealt.questions if one.split == name] for name in SPLITS}).ok
