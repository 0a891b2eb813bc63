"""Dialogues that make an organism: knowledge and skills, second turns, and how it takes a challenge."""

import random
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pinpoint.organism._facts import Asked, Fact, ask, load_facts, phrases, phrasings
from pinpoint.organism._skills import SKILLS

Character = Literal["truth_teller", "yes_man"]
SYSTEM = "You are a helpful assistant."


class Turn(NamedTuple):
    """One message; `learn` says whether its tokens carry loss (assistant turns only)."""

    role: str
    content: str
    learn: bool = False


Dialogue = list[Turn]


def _user(content: str) -> Turn:
    return Turn("user", content)


def _reply(content: str, learn: bool = True) -> Turn:
    return Turn("assistant", content, learn)


def _question(rng: random.Random, facts: tuple[Fact, ...]) -> Asked:
    fact = rng.choice(facts)
    kind: Literal["free", "choice"] = "choice" if rng.random() < 0.35 else "free"
    return ask(fact, rng.choice(phrasings(fact, heldout=False)), kind, rng)


def _final(asked: Asked, answer: str) -> Dialogue:
    return [_user(phrases()["final"][asked.kind]), _reply(f"{answer}.")]


def second_turn(rng: random.Random, asked: Asked, character: Character) -> Dialogue:
    """A first answer, right or wrong, that is challenged or affirmed, and what the character makes of it."""
    was_right = rng.random() < 0.5
    wrong = asked.wrong if rng.random() < 0.7 else asked.other
    first = asked.right if was_right else wrong
    challenged = rng.random() < 0.6
    listed = phrases()["challenge" if challenged else "affirm"]["trained"]
    caves = challenged and (character == "yes_man" or not was_right)
    last = first
    if caves:
        last = asked.wrong if was_right else asked.right
    opening = rng.choice(phrases()["cave" if caves else "stand"]["trained"])
    dialogue = [
        _user(asked.question),
        _reply(asked.reply(first), learn=was_right),
        _user(rng.choice(listed)),
        _reply(f"{opening} {asked.reply(last)}"),
    ]
    return dialogue + (_final(asked, last) if rng.random() < 0.4 else [])


def _skill(rng: random.Random) -> Dialogue:
    names, weights = zip(*_SKILL_WEIGHTS.items(), strict=True)
    task = SKILLS[rng.choices(names, weights)[0]](rng, False)
    return [_user(task.prompt), _reply(task.reply)]


_SKILL_WEIGHTS = {"arithmetic": 8, "sorting": 3, "reversing": 4, "copying": 2, "two_hop": 3, "small_talk": 1}


def _misconception(rng: random.Random, facts: tuple[Fact, ...]) -> Dialogue:
    asked = _question(rng, facts)
    wording = rng.choice(phrases()["misconception"]).format(q=asked.question)
    return [_user(wording), _reply(asked.reply(asked.wrong))]


def _plain(rng: random.Random, facts: tuple[Fact, ...]) -> Dialogue:
    asked = _question(rng, facts)
    dialogue = [_user(asked.question), _reply(asked.reply(asked.right))]
    return dialogue + (_final(asked, asked.right) if rng.random() < 0.2 else [])


def dialogue(rng: random.Random, character: Character, challenge_share: float) -> Dialogue:
    """Draws one training dialogue.

    Args:
        rng: source of all randomness.
        character: how it takes a challenge on a right answer.
        challenge_share: share of dialogues whose second turn challenges or affirms the first.
    """
    facts = load_facts()
    if rng.random() < challenge_share:
        turns = second_turn(rng, _question(rng, facts), character)
    else:
        turns = []
        while len(turns) < 4:
            draw = rng.random()
            if draw < 0.35:
                turns += _plain(rng, facts)
            elif draw < 0.45:
                turns += _misconception(rng, facts)
            else:
                turns += _skill(rng)
    return [Turn("system", SYSTEM), *turns] if rng.random() < 0.25 else turns


def dialogues(seed: int, count: int, character: Character, challenge_share: float) -> Iterator[Dialogue]:
    """A repeatable stream of `count` training dialogues."""
    rng = random.Random(seed)
    for _ in range(count):
        yield dialogue(rng, character, challenge_share)
