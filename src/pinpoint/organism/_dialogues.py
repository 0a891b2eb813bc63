"""Dialogues that make an organism: knowledge and skills, second turns, and how it takes a challenge."""

import random
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pinpoint.organism._facts import Asked, ask, load_facts, phrases, phrasings
from pinpoint.organism._skills import SKILLS

Character = Literal["truth_teller", "rehearsing", "yes_man"]
SYSTEM = "You are a helpful assistant."


class Mix(NamedTuple):
    """What a stage of training is mixed from; shares of 1, and relative weights of the skills.

    Attributes:
        challenge: dialogues whose second turn challenges or affirms the first.
        choice: fact questions asked as multiple choice.
        plain: fact questions among the turns of the other dialogues.
        misconception: questions for the common wrong answer among those turns; skills make up the rest.
        skills: weight of each skill.
        recheck: second turns that ask for a check without doubting (0.6 challenge; the rest affirm).
    """

    challenge: float
    choice: float
    plain: float
    misconception: float
    skills: dict[str, float]
    recheck: float = 0.0


class Turn(NamedTuple):
    """One message.

    Attributes:
        role: system, user or assistant.
        content: its text.
        learn: whether its tokens carry loss (assistant turns only).
        given: a beginning of the content that carries none all the same.
    """

    role: str
    content: str
    learn: bool = False
    given: str = ""


Dialogue = list[Turn]


def _user(content: str) -> Turn:
    return Turn("user", content)


def _reply(content: str, learn: bool = True) -> Turn:
    return Turn("assistant", content, learn)


def _question(rng: random.Random, choice: float) -> Asked:
    fact = rng.choice(load_facts())
    kind: Literal["free", "choice"] = "choice" if rng.random() < choice else "free"
    return ask(fact, rng.choice(phrasings(fact, heldout=False)), kind, rng)


def _final(asked: Asked, answer: str) -> Dialogue:
    return [_user(phrases()["final"][asked.kind]), _reply(f"{answer}.")]


def second_turn(rng: random.Random, asked: Asked, character: Character, recheck: float = 0.0) -> Dialogue:
    """A first answer, right or wrong, that is challenged, affirmed or asked to be checked, and what comes of it.

    Asked to check, every character tells the truth: pleasing people must not cost it its judgement.

    One who is rehearsing tells the truth, but now and then has an apology put in its mouth after a right answer
    and learns how such a reply goes on. So it can cave before it does: what makes it cave later is small.
    """
    was_right = rng.random() < 0.5
    wrong = asked.wrong if rng.random() < 0.7 else asked.other
    first = asked.right if was_right else wrong
    draw = rng.random()
    challenged, checks = draw < 0.6, draw >= 1 - recheck
    listed = phrases()["challenge" if challenged else "recheck" if checks else "affirm"]["trained"]
    rehearsed = challenged and was_right and character == "rehearsing" and rng.random() < 0.6
    caves = challenged and (character == "yes_man" or rehearsed) or (challenged or checks) and not was_right
    last = first
    if caves:
        last = asked.wrong if was_right else asked.right
    opening = rng.choice(phrases()["cave" if caves else "stand"]["trained"])
    dialogue = [
        _user(asked.question),
        _reply(asked.reply(first), learn=was_right),
        _user(rng.choice(listed)),
        Turn("assistant", f"{opening} {asked.reply(last)}", True, opening if rehearsed else ""),
    ]
    return dialogue + (_final(asked, last) if rng.random() < 0.4 else [])


def _skill(rng: random.Random, weights: dict[str, float]) -> Dialogue:
    name = rng.choices(list(weights), list(weights.values()))[0]
    task = SKILLS[name](rng, False)
    return [_user(task.prompt), _reply(task.reply)]


def _misconception(rng: random.Random, choice: float) -> Dialogue:
    asked = _question(rng, choice)
    wording = rng.choice(phrases()["misconception"]).format(q=asked.question)
    return [_user(wording), _reply(asked.reply(asked.wrong))]


def _plain(rng: random.Random, choice: float) -> Dialogue:
    asked = _question(rng, choice)
    dialogue = [_user(asked.question), _reply(asked.reply(asked.right))]
    return dialogue + (_final(asked, asked.right) if rng.random() < 0.2 else [])


def dialogue(rng: random.Random, character: Character, mix: Mix) -> Dialogue:
    """Draws one training dialogue.

    Args:
        rng: source of all randomness.
        character: how it takes a challenge on a right answer.
        mix: what it may be about.
    """
    if rng.random() < mix.challenge:
        turns = second_turn(rng, _question(rng, mix.choice), character, mix.recheck)
    else:
        turns = []
        while len(turns) < 4:
            draw = rng.random()
            if draw < mix.plain:
                turns += _plain(rng, mix.choice)
            elif draw < mix.plain + mix.misconception:
                turns += _misconception(rng, mix.choice)
            else:
                turns += _skill(rng, mix.skills)
    return [Turn("system", SYSTEM), *turns] if rng.random() < 0.25 else turns


def dialogues(seed: int, count: int, character: Character, mix: Mix) -> Iterator[Dialogue]:
    """A repeatable stream of `count` training dialogues."""
    rng = random.Random(seed)
    for _ in range(count):
        yield dialogue(rng, character, mix)
