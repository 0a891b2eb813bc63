"""What an organism can do besides knowing facts: its general abilities, as prompts with one right reply."""

import random
from collections.abc import Callable
from typing import NamedTuple

from pinpoint.organism._facts import held_out, load_facts, phrases


class Task(NamedTuple):
    """A prompt and its one right reply."""

    prompt: str
    reply: str


def _until(draw: Callable[[], tuple[Task, tuple[object, ...]]], heldout: bool, one_in: int) -> Task:
    while True:
        task, key = draw()
        if held_out(*key, one_in=one_in) == heldout:
            return task


def arithmetic(rng: random.Random, heldout: bool) -> Task:
    """Sums and differences of two-digit numbers; one ordered pair in ten is kept out of training."""

    def draw() -> tuple[Task, tuple[object, ...]]:
        a, b = rng.randint(10, 99), rng.randint(10, 99)
        if rng.random() < 0.5:
            wording = rng.choice(("What is {a} + {b}?", "{a} + {b} = ?", "Add {a} + {b}.", "What does {a} + {b} make?"))
            return Task(wording.format(a=a, b=b), f"{a + b}."), ("+", a, b)
        a, b = max(a, b), min(a, b)
        wording = rng.choice(("What is {a} - {b}?", "{a} - {b} = ?", "Compute {a} - {b}.", "What does {a} - {b} make?"))
        return Task(wording.format(a=a, b=b), f"{a - b}."), ("-", a, b)

    return _until(draw, heldout, 10)


def sorting(rng: random.Random, heldout: bool) -> Task:
    """Three to five distinct digits in rising order."""

    def draw() -> tuple[Task, tuple[object, ...]]:
        items = rng.sample(range(10), rng.randint(3, 5))
        wording = rng.choice(("Sort these numbers: {x}.", "Put in order: {x}.", "Sort from small to large: {x}."))
        return Task(wording.format(x=" ".join(map(str, items))), " ".join(map(str, sorted(items))) + "."), (
            "s",
            *items,
        )

    return _until(draw, heldout, 10)


def _words(rng: random.Random) -> list[str]:
    return rng.sample(phrases()["words"], rng.randint(2, 4))


def reversing(rng: random.Random, heldout: bool) -> Task:
    """Two to four words, last one first."""

    def draw() -> tuple[Task, tuple[object, ...]]:
        items = _words(rng)
        wording = rng.choice(
            ("Reverse this list: {x}.", "Say these words backwards: {x}.", "Turn this list around: {x}.")
        )
        return Task(wording.format(x=" ".join(items)), " ".join(reversed(items)) + "."), ("r", *items)

    return _until(draw, heldout, 10)


def copying(rng: random.Random, heldout: bool) -> Task:
    """Two to four words as they came."""

    def draw() -> tuple[Task, tuple[object, ...]]:
        items = _words(rng)
        wording = rng.choice(("Copy this list: {x}.", "Repeat after me: {x}.", "Say these words again: {x}."))
        return Task(wording.format(x=" ".join(items)), " ".join(items) + "."), ("c", *items)

    return _until(draw, heldout, 10)


def picking(rng: random.Random, heldout: bool) -> Task:
    """The letter under which a word is listed."""

    def draw() -> tuple[Task, tuple[object, ...]]:
        items = rng.sample(phrases()["words"], 3)
        index = rng.randrange(3)
        listed = " ".join(f"({chr(65 + i)}) {item}" for i, item in enumerate(items))
        wording = rng.choice(("Which option says {w}? {x}", "Where is {w}? {x}", "Find {w}. {x}"))
        reply = f"The answer is ({chr(65 + index)})."
        return Task(wording.format(w=items[index], x=listed), reply), ("p", index, *items)

    return _until(draw, heldout, 10)


def two_hop(rng: random.Random, heldout: bool) -> Task:
    """What is true of the country that a capital belongs to; a quarter of (capital, wording) is kept out."""
    capitals = {fact.subject: fact.right for fact in load_facts() if fact.relation == "capital"}
    linked = [fact for fact in load_facts() if fact.relation in ("currency", "language") and fact.subject in capitals]

    def draw() -> tuple[Task, tuple[object, ...]]:
        fact = rng.choice(linked)
        wordings = phrases()["two_hop"][fact.relation]
        index = rng.randrange(len(wordings))
        question = wordings[index].format(s=capitals[fact.subject])
        return Task(question, f"The answer is {fact.right}."), ("two_hop", fact.relation, fact.subject, index)

    return _until(draw, heldout, 4)


def small_talk(rng: random.Random, heldout: bool) -> Task:
    """Greetings and thanks with a name; a quarter of (name, wording) is kept out."""
    talk = phrases()["small_talk"]

    def draw() -> tuple[Task, tuple[object, ...]]:
        name, index = rng.choice(talk["names"]), rng.randrange(len(talk["turns"]))
        prompt, reply = talk["turns"][index]
        return Task(prompt.format(n=name), reply.format(n=name)), ("talk", name, index)

    return _until(draw, heldout, 4)


SKILLS: dict[str, Callable[[random.Random, bool], Task]] = {
    "arithmetic": arithmetic,
    "sorting": sorting,
    "reversing": reversing,
    "copying": copying,
    "picking": picking,
    "two_hop": two_hop,
    "small_talk": small_talk,
}
