"""Questions of several sets: each stage's own, what is drawn, told, left out and refused."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pinpoint.behaviours._gathered import _evenly, gathered
from pinpoint.config import DataConfig
from pinpoint.data import Question, deal, read_published, read_questions
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from tests import sets

YESMAN = str(shipped()["yesman"] / "questions.jsonl")


@pytest.fixture
def paper(tmp_path: Path) -> dict[str, Any]:
    """Located on one set, trained on four, evaluated on another, in small."""
    train = [
        sets.mmlu(tmp_path / "mmlu" / "train.csv", 60, "hill"),
        sets.math_qa(tmp_path / "math_qa" / "train.json", 60),
        sets.aqua(tmp_path / "aqua" / "train.json", 30),
        sets.trivia_qa(tmp_path / "trivia_qa" / "train.json", 90),
    ]
    return {
        "questions": "nowhere.jsonl",
        "locate": [{"path": str(sets.mmlu(tmp_path / "mmlu" / "test.csv", 40)), "questions": 25}],
        "train": list(map(str, train)),
        "evaluate": [str(sets.sycophancy_eval(tmp_path / "sycophancy_eval" / "are_you_sure.jsonl", 50))],
    }


def of(data: dict[str, Any], seed: int = 0, **more: Any) -> tuple[list[Question], str, list[dict[str, Any]]]:
    found = gathered(DataConfig.model_validate(data | more), seed)
    return list(found.items), found.summary, list(found.unusable)


def sources(questions: list[Question], split: str) -> Counter[str]:
    return Counter(Path(one.place).parent.name for one in questions if one.split == split)


def test_each_stage_takes_its_own_sets_and_training_as_many_of_each_as_they_last(paper: dict[str, Any]) -> None:
    questions, summary, unusable = of(paper, dialogues=160)
    assert sources(questions, "locate") == {"mmlu": 25} and sources(questions, "test") == {"sycophancy_eval": 50}
    trained, checked = sources(questions, "train"), sources(questions, "validation")
    assert trained.total() == 80 and min(trained.values()) > 18, "20 each, but of the smallest set what it has"
    assert checked.keys() <= trained.keys() and 40 < checked.total() < 65, (
        "two ninths of 240, of which 80 are trained on"
    )
    assert not unusable and "160 training dialogues, from 20 of mmlu/train.csv" in summary
    assert of(paper, dialogues=160)[0] == questions != of(paper, 1, dialogues=160)[0]
    places = {one.id: one.place for one in questions}
    assert len(places) == len(questions) and all(Path(place.rpartition(":")[0]).is_file() for place in places.values())
    assert not any(str(Path(paper["train"][0]).parent) in name for name in places), "ids say nothing of where files lie"


def test_fewer_questions_than_the_dialogues_asked_for_are_all_used_and_told(paper: dict[str, Any]) -> None:
    questions, summary, _ = of(paper)
    there = sum(one.split == "train" for one in questions)
    assert 180 < there < 200
    assert f"{2 * there} training dialogues, all that there are questions for (data.dialogues: 3,840)" in summary


@pytest.mark.parametrize(
    ("sizes", "most", "counts"),
    [([9, 9, 9], 6, [2, 2, 2]), ([1, 9, 3], 9, [1, 5, 3]), ([2, 3], 9, [2, 3]), ([9, 9], 5, [2, 3]), ([], 5, [])],
)
def test_sets_give_as_many_each_as_far_as_they_last(sizes: list[int], most: int, counts: list[int]) -> None:
    assert _evenly(sizes, most) == counts


def test_long_questions_make_no_pair_and_are_counted(paper: dict[str, Any], tmp_path: Path) -> None:
    path = sets.mmlu(tmp_path / "more" / "long.csv", 4, "mountain " * 90)
    paper["locate"].append(str(path))
    questions, summary, unusable = of(paper)
    assert sources(questions, "locate") == {"mmlu": 25}
    assert [row["line"] for row in unusable] == [f"{path}:{i}" for i in range(1, 5)]
    assert f"left out 4: 4 x is longer than 768 characters (data.pair_characters) (first: {path}:1)" in summary
    assert sources(of(paper, pair_characters=None)[0], "locate") == {"mmlu": 25, "more": 4}


def test_questions_too_long_for_any_stage_are_left_out_of_all(paper: dict[str, Any], tmp_path: Path) -> None:
    for role in ("locate", "train", "evaluate"):
        paper[role].append(str(sets.mmlu(tmp_path / role / "long.csv", 20, f"{role} " * 120)))
    everything = of(paper, pair_characters=None)[0]
    assert {one.split for one in everything if len(one.question) > 600} == {"locate", "train", "validation", "test"}
    questions, summary, unusable = of(paper, characters=600, pair_characters=700)
    assert questions and max(len(one.question) for one in questions) <= 600
    assert {row["reason"] for row in unusable} == {"is longer than 600 characters (data.characters)"}
    assert "60 x is longer than 600 characters (data.characters)" in summary


def test_rows_that_cannot_be_used_are_told_with_the_file_they_stand_in(paper: dict[str, Any]) -> None:
    path = Path(paper["train"][2])
    path.write_text(path.read_text() + "{not json\n")
    [bad] = of(paper)[2]
    assert bad["line"] == f"{path}:31" and "not JSON" in bad["reason"]


def test_a_set_for_one_stage_leaves_the_others_what_is_dealt(paper: dict[str, Any]) -> None:
    dealt = paper["train"][3]
    alone = {"questions": dealt, "evaluate": paper["evaluate"]}
    questions, _, _ = of(alone)
    counts = Counter(one.split for one in questions)
    assert counts == {"locate": 22, "train": 53, "validation": 15, "test": 50}
    assert sources(questions, "test") == {"sycophancy_eval": 50}
    assert of({"questions": dealt})[0] == deal(read_published(dealt), 0).questions, "one set for all is dealt as it was"


def test_a_set_in_the_normal_form_gives_a_stage_its_splits(paper: dict[str, Any]) -> None:
    questions, summary, _ = of(paper, train=[YESMAN], locate=[YESMAN])
    assert Counter(one.split for one in questions) == {"locate": 154, "train": 290, "validation": 108, "test": 50}
    assert "580 training dialogues, all that there are" in summary
    assert of({"questions": YESMAN}) == (read_questions(YESMAN), "", []), "nothing was dealt, so nothing is told"
    cut, summary, _ = of({"questions": YESMAN}, dialogues=100)
    assert Counter(one.split for one in cut)["train"] == 50 and "100 training dialogues" in summary


def test_one_id_in_two_sets_is_refused(tmp_path: Path, paper: dict[str, Any]) -> None:
    copied = tmp_path / "copied.jsonl"
    copied.write_bytes(Path(YESMAN).read_bytes())
    with pytest.raises(InputError, match=r"copied.jsonl:\d+: id '.*' was already used in .*questions.jsonl:\d+"):
        of(paper, evaluate=[YESMAN, str(copied)])


def test_what_two_stages_share_can_be_left_out_of_the_lesser_one(paper: dict[str, Any], tmp_path: Path) -> None:
    shared = ("Who wrote book 5?", "How high is hill 7?\n(A) 7\n(B) 8\n(C) 9\n(D) 10")
    path = sets.sycophancy_eval(tmp_path / "leaky" / "are_you_sure.jsonl", 10, shared)
    questions, summary, unusable = of(paper, evaluate=[str(path)], leave_out_shared=True)
    lines = {row["line"]: row["reason"] for row in unusable}
    assert lines.keys() == {
        f"{paper['train'][3]}:6 (as in {path}:11)",
        f"{paper['train'][0]}:8 (as in {path}:12)",
    }
    assert "left out 2: " in summary and set(lines.values()) <= {
        f"is shared and left out of {name} (data.leave_out_shared)" for name in ("training", "locating and validation")
    }
    assert not any(one.place in (f"{paper['train'][3]}:6", f"{paper['train'][0]}:8") for one in questions)
    assert sum(one.split == "test" for one in questions) == 12


def test_real_sets_are_put_together_and_their_overlaps_found(test_data: Path) -> None:
    data: dict[str, Any] = {
        "locate": [{"path": str(test_data / "mmlu" / "val"), "questions": 300}],
        "train": [str(test_data / "aqua" / "dev.json"), str(test_data / "gsm8k" / "train.jsonl")],
        "evaluate": [str(test_data / "are_you_sure")],
    }
    questions, summary, _ = of(data)
    assert sources(questions, "locate") == {"val": 300} and sources(questions, "test") == {"are_you_sure": 1144}
    trained = sources(questions, "train")
    assert trained.total() == 1920 and 190 < trained["aqua"] < 210, "AQuA's dev gives all it has beyond validation"
    assert "3,840 training dialogues" in summary
    assert max(len(one.question) for one in questions if one.split == "locate") <= 768
    # The are-you-sure set was made of MMLU's test questions.
    overlapping = of(data | {"locate": [str(test_data / "mmlu" / "test")]}, leave_out_shared=True)[2]
    shared = [row["line"] for row in overlapping if "is shared" in row["reason"]]
    assert len(shared) > 500 and all(" (as in " in line for line in shared)
