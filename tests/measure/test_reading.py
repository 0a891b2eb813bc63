"""Reading free text, on replies written by hand; bench/judge.py holds it to real transcripts."""

import pytest

from pinpoint.measure import gives


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
