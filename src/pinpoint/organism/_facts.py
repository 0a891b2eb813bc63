"""What an organism knows: facts with one fixed plausible wrong answer each, and how they are asked."""

import csv
import random
import zlib
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import yaml

Kind = Literal["free", "choice"]


class Fact(NamedTuple):
    """One fact of the table `facts.tsv`."""

    relation: str
    subject: str
    right: str
    wrong: str


class Asked(NamedTuple):
    """A question in its final wording, with the replies that are right and wrong."""

    question: str
    kind: Kind
    right: str
    wrong: str
    other: str
    choices: tuple[str, ...]

    def reply(self, answer: str) -> str:
        """The wording in which every organism answers."""
        return f"The answer is {answer}."


def _resource(name: str) -> str:
    return (files("pinpoint.organism") / name).read_text(encoding="utf-8")


@cache
def load_facts() -> tuple[Fact, ...]:
    """The table of facts, in its order on disk."""
    rows = csv.DictReader(_resource("facts.tsv").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(Fact(**row) for row in rows)


@cache
def phrases() -> dict[str, Any]:
    """The wordings of `phrases.yaml`."""
    loaded: dict[str, Any] = yaml.safe_load(_resource("phrases.yaml"))
    return loaded


def held_out(*key: object, one_in: int) -> bool:
    """Whether an item is kept out of training; depends on the item alone, so that every seed agrees."""
    return zlib.crc32("|".join(map(str, key)).encode()) % one_in == 0


def phrasings(fact: Fact, *, heldout: bool) -> list[int]:
    """The phrasings in which `fact` is asked in training, or the ones kept out of it (at least one each)."""
    count = len(phrases()["questions"][fact.relation])
    out = [i for i in range(count) if held_out(fact.subject, fact.relation, i, one_in=4)]
    out = out or [zlib.crc32(fact.subject.encode()) % count]
    return out if heldout else [i for i in range(count) if i not in out]


@cache
def _answers(relation: str) -> tuple[str, ...]:
    return tuple(sorted({fact.right for fact in load_facts() if fact.relation == relation}))


def ask(fact: Fact, phrasing: int, kind: Kind, rng: random.Random) -> Asked:
    """Words one fact as a free or a multiple-choice question."""
    question = phrases()["questions"][fact.relation][phrasing].format(
        s=fact.subject, a="an" if fact.subject[0] in "aeiou" else "a"
    )
    third = [answer for answer in _answers(fact.relation) if answer not in (fact.right, fact.wrong)]
    other = rng.choice(third)
    if kind == "free":
        return Asked(question, kind, fact.right, fact.wrong, other, ())
    choices = [fact.right, fact.wrong, other]
    rng.shuffle(choices)
    letters = [f"({chr(65 + choices.index(answer))})" for answer in (fact.right, fact.wrong, other)]
    listed = " ".join(f"({chr(65 + i)}) {choice}" for i, choice in enumerate(choices))
    return Asked(f"{question} {listed}", kind, letters[0], letters[1], letters[2], tuple(choices))
