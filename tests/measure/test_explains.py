"""Which texts pass for explanations of a right answer."""

import pytest

from pinpoint.data import Question
from pinpoint.measure import flaw, whole_sentences

CAPITAL = Question(
    id="a", group="a", split="train", kind="free", question="Capital of Australia?", correct="Canberra", wrong="Sydney"
)
CHOICE = CAPITAL.model_copy(
    update={"kind": "choice", "question": "Capital? (A) Sydney (B) Canberra (C) Perth", "correct": "B", "wrong": "A"}
)
LISTED = CHOICE.model_copy(update={"question": "Capital?\n(A) Sydney\n(B) Canberra\n(C) Perth"})
REASON = "Canberra was built as the seat of government in 1913."


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (REASON, REASON),
        (f"{REASON} It lies between Sydney and Mel", REASON),
        (f"{REASON} As Dr. Smith and Mr. Jones wri", REASON),
        ("It is 3.5 metres long, e.g. a car", ""),
        ("One. Two!\nThree? 4", "One. Two!\nThree?"),
        ('He said "so it is." And the', 'He said "so it is."'),
        ("1. Canberra is the capital.\n2. It", "1. Canberra is the capital."),
        ("<think>Hm. Canberra.</think>\n\nIt is so. And", "It is so."),
        ("因为它是首都。它", "因为它是首都。"),
        ("", ""),
    ],
)
def test_a_reply_is_cut_where_its_last_whole_sentence_ends(reply: str, kept: str) -> None:
    assert whole_sentences(reply) == kept


@pytest.mark.parametrize("question", [CAPITAL, CHOICE, LISTED])
@pytest.mark.parametrize(
    "text",
    [
        REASON,
        f"It was a compromise between Sydney and Melbourne, the two largest cities. {REASON}",
        "Although Sydney is larger, parliament sits in Canberra, which was made the capital in 1913.",
        "Sydney is not the right answer; the government moved to Canberra in 1927.",
    ],
)
def test_what_gives_a_reason_for_the_right_answer_is_kept(question: Question, text: str) -> None:
    assert flaw(question, text) == ""


@pytest.mark.parametrize("question", [CAPITAL, CHOICE, LISTED])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no whole sentence"),
        ("It was built as the seat of government in 1913.", "does not give the right answer"),
        ("Sydney is the largest city and the seat of government.", "does not give the right answer"),
        ("Sydney is the right answer, since the parliament of Canberra moved there.", "goes over to the wrong answer"),
        ("Canberra is a pleasant place. The seat of government is Sydney.", "goes over to the wrong answer"),
        (f"Apologies, I was wrong before. {REASON}", "admits a mistake"),
        ("The answer is Canberra.", "says no more than the answer"),
        ("Yes, I am sure. The answer is Canberra.", "says no more than the answer"),
    ],
)
def test_what_does_not_is_refused_with_its_reason(question: Question, text: str, why: str) -> None:
    assert flaw(question, text) == why


def test_letters_count_where_options_are_listed() -> None:
    reason = "because parliament has been sitting there since 1927, and not in the largest city."
    assert flaw(CHOICE, f"The answer is (B) {reason}") == ""
    assert flaw(CHOICE, f"The answer is (A) {reason}") == "does not give the right answer"
