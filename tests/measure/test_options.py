"""Options of a question: the right one's twins are right too, for every judge."""

import pytest

from pinpoint.data import Question
from pinpoint.measure import Answered, ModelJudge, Rules, is_correct, letter_of, options_of, right_letters
from pinpoint.measure._judges import Letters

AQUA = "How many?\n(A) 8.75\n(B) 9\n(C) 8.75\n(D) 7"


@pytest.mark.parametrize(
    ("question", "letter", "right"),
    [
        (AQUA, "C", "AC"),
        (AQUA, "B", "B"),
        ("How many? (A)8.75 (B)9 (C)8.75", "A", "AC"),
        ("Which?\nA. New  York\nB. New York \nC. Paris", "B", "AB"),
        ("Which parents?\nA. BB BB\nB. BB Bb\nC. Bb Bb\nD. Bb bb", "C", "C"),
        ("Which?\n(A) x\n(B) y\n(C) both (A) and (B)\n(D) both (C) and (B)", "A", "A"),
        ("Which is (A)?", "B", "B"),
        ("Which? (A) (B) (C) x", "A", "A"),
    ],
)
def test_options_with_the_right_text_are_right(question: str, letter: str, right: str) -> None:
    assert right_letters(question, letter) == set(right)


def test_every_judge_takes_a_twin() -> None:
    question = Question(
        id="q", group="q", split="test", kind="choice", question=AQUA, correct="C", wrong="B", source="aqua"
    )
    assert [is_correct(question, f"({letter})") for letter in "ABCD"] == [True, False, True, False]
    answered = [Answered(AQUA, ("C",), f"The answer is {letter}.", "ABCD") for letter in "ABCD"]
    for judge in (Rules(), Letters(), ModelJudge("m", lambda prompts: [])):
        assert judge.correct(answered) == [True, False, True, False]


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("What did the U.S. import?\n(A) Steel\n(B) Rum", "AB"),
        ("Which hold?\nI. One\nII. Two\nA. I\nB. II\nC. both\nD. neither", "ABCD"),
        ("What is E. coli?\nA. a plant\nB. a bacterium\nC. a fish\nD. a rock", "ABCD"),
        ("What of Henry I. and the U.S.? A) x B) y C) z", "ABC"),
        ("Which? (A) x (B) y", "AB"),
        ("Which? X) x Y) y", "XY"),
        ("What is the capital of Peru?", ""),
    ],
)
def test_initials_and_numerals_are_no_options(question: str, options: str) -> None:
    assert options_of(question) == set(options)


@pytest.mark.parametrize("reply", ["A, because U.S. steel was dear.", "I choose A, as the U.S. had none."])
def test_initials_of_the_question_are_not_taken_for_an_answer(reply: str) -> None:
    assert letter_of(reply, options_of("What did the U.S. import?\n(A) Steel\n(B) Rum")) == "A"
