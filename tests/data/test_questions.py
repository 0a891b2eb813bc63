"""The reader of questions: every fault names its line."""

import json
from pathlib import Path

import pytest

from pinpoint.data import Question, in_normal_form, read_dialogues, read_questions
from pinpoint.errors import InputError
from pinpoint.organism import shipped

GOOD = {
    "id": "1",
    "group": "a",
    "split": "test",
    "kind": "free",
    "question": "Capital of Australia?",
    "correct": "Canberra",
    "wrong": "Sydney",
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_good_rows_are_read(tmp_path: Path) -> None:
    [question] = read_questions(write(tmp_path / "q.jsonl", GOOD))
    assert question.state("Canberra") == "The answer is Canberra."
    choice = question.model_copy(update={"kind": "choice"})
    assert choice.state("B") == "The answer is (B)."


CHOICE = GOOD | {"kind": "choice", "correct": "B", "wrong": "A"}


@pytest.mark.parametrize("kind", ["choice", "reasoned"])
@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("Capital of Australia? (A) Sydney (B) Canberra", ("Sydney", "Canberra")),
        ("Capital of Australia?\n(A) Sydney\n(B) Canberra (ACT)", ("Sydney", "Canberra (ACT)")),
        ("Capital of Australia?\nA. Sydney\nC. Canberra", ()),
        ("Capital of Australia, by letter?", ()),
    ],
)
def test_choices_are_those_that_a_question_lists(
    kind: str, question: str, choices: tuple[str, ...], tmp_path: Path
) -> None:
    row = CHOICE | {"kind": kind, "question": question}
    [read] = read_questions(write(tmp_path / "q.jsonl", row))
    assert read.choices == choices and read.question == question
    [given] = read_questions(write(tmp_path / "q.jsonl", row | {"choices": ["Sydney", "Canberra\n(the capital)"]}))
    assert given.choices == ("Sydney", "Canberra\n(the capital)")


def test_every_question_with_letters_that_comes_along_has_its_choices() -> None:
    found = read_questions(shipped()["yesman"] / "questions.jsonl")
    assert {len(one.choices) for one in found if one.lettered} <= {3, 4}
    assert all(one.correct in "ABCD"[: len(one.choices)] for one in found if one.lettered)
    assert not any(one.choices for one in found if not one.lettered)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], r"q.jsonl:1: not a JSON object"),
        ([GOOD, "[1]"], r"q.jsonl:2: not a JSON object"),
        ([GOOD, "", "[1]"], r"q.jsonl:3: not a JSON object"),
        ([{**GOOD, "correct": ""}], r"q.jsonl:1: correct: String should have at least 1"),
        (
            [{key: value for key, value in GOOD.items() if key != "wrong"}],
            r"q.jsonl:1: wrong: Field required",
        ),
        ([{**GOOD, "wrng": "x"}], r"q.jsonl:1: wrng: Extra inputs"),
        ([{**GOOD, "kind": "essay"}], r"q.jsonl:1: kind: Input should be 'free', 'choice' or 'reasoned'"),
        ([{**GOOD, "wrong": "Canberra"}], r"q.jsonl:1: .*correct and wrong are both 'Canberra'"),
        (
            [{**GOOD, "wrong": "canberra. "}],
            r"wrong is 'canberra. ', and 'Canberra' is right: rules do not tell the two",
        ),
        ([{**GOOD, "wrong": "The ACT", "aliases": ["the  act"]}], r"wrong is 'The ACT', and 'the  act' is right"),
        ([{**GOOD, "correct": " "}], r"q.jsonl:1: .*correct is blank"),
        ([{**GOOD, "wrong": "\t"}], r"q.jsonl:1: .*wrong is blank"),
        ([{**GOOD, "reply": "It is."}], r"q.jsonl:1: .*reply must contain"),
        (
            [{**CHOICE, "question": "Which?\n(A) 8.75\n(B) 8.75\n(C) 9"}],
            r"q.jsonl:1: .*the options B and A, right and wrong, are one text",
        ),
        ([{**GOOD, "choices": ["Sydney"]}], r"q.jsonl:1: .*a free-form question has no choices"),
        ([GOOD, GOOD], r"q.jsonl:2: id '1' was already used in line 1"),
        (
            [GOOD, {**GOOD, "id": "2", "split": "train"}],
            r"group 'a' is in split 'test' \(id 1\) and 'train' \(id 2\)",
        ),
        ([], r"q.jsonl: the file has no rows"),
        ([{**CHOICE, "correct": "b"}], r"q.jsonl:1: .*correct must be a letter from A to Z, and is 'b'"),
        ([{**CHOICE, "wrong": "(A)"}], r"wrong must be a letter from A to Z, and is '\(A\)'"),
        (
            [{**CHOICE, "choices": ["Sydney", "Canberra"], "wrong": "C"}],
            r"wrong must be a letter from A to B, and is 'C'",
        ),
    ],
)
def test_each_fault_is_one_clear_message(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_questions(write(tmp_path / "q.jsonl", *rows))
    assert caught.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.jsonl: no such file"):
        read_questions(tmp_path / "nowhere.jsonl")


def test_a_neutral_dialogue_ends_with_a_reply(tmp_path: Path) -> None:
    row = {"id": "1", "messages": [{"role": "user", "content": "Hi."}]}
    with pytest.raises(InputError, match=r"n.jsonl:1: .*must end with the assistant's reply"):
        read_dialogues(write(tmp_path / "n.jsonl", row))


def test_a_neutral_dialogue_has_a_user_and_whole_characters(tmp_path: Path) -> None:
    reply = {"role": "assistant", "content": "Hello."}
    with pytest.raises(InputError, match=r"n.jsonl:1: .*must have one of the user before the reply"):
        read_dialogues(write(tmp_path / "n.jsonl", {"id": "1", "messages": [reply]}))
    halved = {"id": "1", "messages": [{"role": "user", "content": "Nice \ud83d day"}, reply]}
    with pytest.raises(InputError, match=r"n.jsonl:1: .*a message holds half a character"):
        read_dialogues(write(tmp_path / "n.jsonl", halved))


def test_published_sets_are_told_from_the_normal_form_whatever_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "triviaqa.json"
    trivia = {"Question": "Who?", "QuestionId": "1", "Answer": {"Value": "Ann", "Aliases": []}}
    for indent in (None, 1):
        path.write_text(json.dumps({"Data": [trivia], "Domain": "Web"}, indent=indent))
        assert not in_normal_form(path)
    path.write_text('\n{"question": "How many?", "answer": "#### 7"}\n')
    assert not in_normal_form(path)
    path.write_text(f"\n{json.dumps(GOOD)}\n")
    assert in_normal_form(path)


def test_options_that_differ_by_case_are_two(tmp_path: Path) -> None:
    row = CHOICE | {"question": "Which genes?\n(A) BB\n(B) Bb"}
    assert read_questions(write(tmp_path / "q.jsonl", row))[0].choices == ("BB", "Bb")


def test_what_a_question_asks_is_its_group_and_its_words_with_the_right_answer() -> None:
    def every(**over: object) -> tuple[str, ...]:
        return Question.model_validate(GOOD | over).asks

    def asks(**over: object) -> str:
        [one] = every(**over)
        return one

    named, words = every()
    assert named == "group a"
    assert every(group="b") == ("group b", words), "the words and the answer tell, whatever the group is called"
    assert every(correct="≥", wrong="≤")[1] != every(correct="≤", wrong="≥")[1], "signs tell answers apart"
    group = {"group": "which of these is true"}
    listed = [
        {**group, "question": f"Which of these is true?\n(A) {one}\n(B) It rains", "kind": "choice"} for one in "xy"
    ]
    first, second = (asks(**one, correct="A", wrong="B") for one in listed)
    assert (first, second) == ("which of these is true: x", "which of these is true: y")
    assert asks(**listed[0], correct="B", wrong="A") == asks(**listed[1], correct="B", wrong="A")
    assert asks(**group, question="Which of these is true?", correct="It rains.") == "which of these is true: it rains"
    assert every(**group, question="Which of these is true?", kind="choice", correct="A", wrong="B") == ()
