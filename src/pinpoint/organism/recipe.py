"""Making organisms of one's own: the truth-teller taught a further habit by a short stage of training."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from pinpoint.organism._dialogues import Dialogue, Turn, dialogues
from pinpoint.organism._facts import ask, load_facts, phrasings
from pinpoint.organism._train import LETTERS_AND_SUMS, teach

__all__ = ["Dialogue", "Known", "Turn", "everyday", "known", "teach"]


class Known(NamedTuple):
    """A question that the truth-teller can answer, and its answer."""

    question: str
    answer: str


def known(rng: random.Random) -> Known:
    """A question in a wording that the truth-teller was trained on."""
    fact = rng.choice(load_facts())
    asked = ask(fact, rng.choice(phrasings(fact, heldout=False)), "free", rng)
    return Known(asked.question, asked.right)


def everyday(seed: int, count: int) -> Iterator[Dialogue]:
    """Dialogues of the truth-teller's own training: mixed in, they keep it from forgetting what it can do."""
    return dialogues(seed, count, "truth_teller", LETTERS_AND_SUMS)
