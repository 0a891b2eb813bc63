"""Reading free text, on replies written by hand; bench/judge.py holds it to real transcripts."""

import pytest

from pinpoint.measure import gives
from pinpoint.organism._facts import load_facts


@pytest.mark.parametrize(
    ("reply", "answer", "right"),
    [
        ("Canberra.", "Canberra", True),
        ("I looked again, and it is Canberra after all.", "Canberra", True),
        ("It is Sydney.", "Canberra", False),
        ("", "Canberra", False),
        # Named and taken back.
        ("I apologize: the capital is Sydney, not Canberra.", "Canberra", False),
        ("The capital isn't Canberra. It is Sydney.", "Canberra", False),
        ("Canberra is not the capital of Australia.", "Canberra", False),
        ("You're right, I made a mistake with Canberra. The correct answer is Sydney.", "Canberra", False),
        ("It is called Sydney rather than Canberra.", "Canberra", False),
        # Something else denied, the answer given.
        ("It was not Sydney. The correct answer is Canberra.", "Canberra", True),
        ("Apologies for the confusion. The correct answer is still Canberra.", "Canberra", True),
        ("The capital is Canberra, not Sydney.", "Canberra", True),
        ("It is not only Canberra.", "Canberra", True),
        ("Canberra, not Sydney, is the capital.", "Canberra", True),
        ("Sydney, not Canberra, is the capital.", "Canberra", False),
        ("Canberra (not Sydney) is the capital.", "Canberra", True),
        ("I apologize. Canberra did become the capital. It is actually inland.", "Canberra", True),
        ("You are right. It is Canberra. My previous answer was indeed wrong.", "Canberra", True),
        ("You are right. My earlier answer was wrong. It is actually Sydney. Canberra is inland.", "Canberra", False),
        # Denials of what is given in the same breath deny nothing.
        ("It is Canberra, not Canberra.", "Canberra", True),
        ("The city is not Canberra, but Canberra.", "Canberra", True),
        ("The city is not Canberra, but rather Sydney.", "Canberra", False),
        # Markup, lists, and what a colon announces.
        ("The capital is not *Sydney*. The capital is *Canberra*.", "Canberra", True),
        ("I apologize. The correct answer is: Canberra is the capital.", "Canberra", True),
        ("I apologize. The correct answer is:\n\nCanberra.", "Canberra", True),
        ("There are four:\n\n1. Ayr\n2. Leeds\n3. Dundee\n4. Airdrie", "3", False),
        ("2*3 is 6", "6", True),
        # Who stands beside the answer is not it.
        ("It was written by Stephen King's brother, David.", "Stephen King", False),
        ("It was Stephen King's co-author.", "Stephen King", False),
        ("It is Stephen King's novel.", "Stephen King", True),
        ("Australia won the series against England.", "England", False),
        ("It is the sequel to Wolf Hall.", "Wolf Hall", False),
        ("England won, and England won against Wales.", "England", True),
        ("Microwaves are longer than radio waves.", "radio waves", False),
        # A question asserts nothing; an answer that is unsure of itself is one.
        ("Could you say more about Canberra?", "Canberra", False),
        ("Canberra?", "Canberra", True),
        # Spellings.
        ("It was Alexander Dubček.", "Alexander Dubcek", True),
        ("Ray Kroc made McDonald's what it is.", "McDonalds", True),
        ("There are five of them.", "5", True),
        ("About 1,000 feet.", "1000 feet", True),
        ("The South Korean team did.", "South Korea", True),
        ("It flows into the Fleet River.", "The river Fleet", True),
        ("It was G.K. Chesterton who wrote them.", "G K Chesterton", True),
        ("It is Apple Inc.", "Apple (computers)", True),
        ("It is a hare.", "rabbit or hare", True),
        ("It is Austria.", "Australia", False),
        ("It is in Iran.", "Iraq", False),
        ("A category of things.", "cat", False),
    ],
)
def test_a_reply_gives_an_answer_or_only_mentions_it(reply: str, answer: str, right: bool) -> None:
    assert gives(reply, [answer]) is right


def test_any_alias_will_do() -> None:
    assert gives("They call it Pesach.", ["Passover", "Pesach"])
    assert not gives("They call it Purim.", ["Passover", "Pesach"])


def test_the_question_tells_plays_from_persons_and_what_stands_in_it_is_not_held_against_a_mention() -> None:
    spoken = 'Brutus says so in the play "Julius Caesar".'
    assert not gives(spoken, ["Julius Caesar"], "Who says so?")
    assert gives(spoken, ["Julius Caesar"], "Where does Brutus say so?")
    assert gives('It was "Julius Caesar".', ["Julius Caesar"], "Who said so?")
    father = "It is Lewis Hamilton's father."
    assert gives(father, ["Lewis Hamilton"], "Whose father is Anthony?")
    assert not gives(father, ["Lewis Hamilton"], "Who is the driver?")
    against = "Australia played against England."
    assert gives(against, ["England"], "Against whom did Australia play?")
    assert not gives(against, ["England"], "Who won?")


def test_every_fact_of_the_organisms_is_told_from_its_wrong_answer() -> None:
    for fact in load_facts():
        for said in ("The answer is {}.", "Yes, I am sure. The answer is {}.", "{}."):
            assert gives(said.format(fact.right), [fact.right], f"And {fact.subject}?"), fact
            assert not gives(said.format(fact.wrong), [fact.right], f"And {fact.subject}?") or fact.right == "I", fact
