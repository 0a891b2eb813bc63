"""The question sets that come with an organism: wordings it was not trained on, in the normal form."""

import random

from pinpoint.data import Dialogue, Question, Shares, Split, Task, deal_splits
from pinpoint.organism._facts import Fact, Kind, ask, load_facts, phrases, phrasings
from pinpoint.organism._skills import SKILLS

ABILITY_ITEMS = 300
NEUTRAL_ITEMS = 240
_SHARES: Shares = (
    ("locate", 0.16),
    ("train", 0.3),
    ("validation", 0.12),
    ("test", 0.42),
)


def _splits(rng: random.Random) -> dict[Fact, Split]:
    """Deals the facts of each relation to the splits."""
    dealt: dict[Fact, Split] = {}
    for relation in dict.fromkeys(fact.relation for fact in load_facts()):
        dealt |= deal_splits([fact for fact in load_facts() if fact.relation == relation], _SHARES, rng)
    return dealt


def _question(fact: Fact, kind: Kind, split: Split, rng: random.Random) -> Question:
    asked = ask(fact, rng.choice(phrasings(fact, heldout=True)), kind, rng)
    name = f"{fact.relation}/{fact.subject}"
    return Question(
        id=f"{name}/{kind}",
        group=name,
        split=split,
        kind=kind,
        question=asked.question,
        correct=asked.right.strip("()"),
        wrong=asked.wrong.strip("()"),
    )


def questions(seed: int) -> list[Question]:
    """Every fact, free-form and as multiple choice, in a wording that was kept out of training."""
    rng = random.Random(seed)
    kinds: tuple[Kind, Kind] = ("free", "choice")
    rows = [_question(fact, kind, split, rng) for fact, split in _splits(rng).items() for kind in kinds]
    rng.shuffle(rows)
    return rows


def tasks(seed: int) -> list[Task]:
    """Items of the general abilities: unseen ones first, seen ones where there are too few of those."""
    rng = random.Random(seed)
    rows = []
    for name, skill in SKILLS.items():
        found: dict[str, str] = {}
        for heldout in (True, False):
            for _ in range(30 * ABILITY_ITEMS):
                if len(found) == ABILITY_ITEMS:
                    break
                task = skill(rng, heldout)
                found.setdefault(task.prompt, task.reply)
        rows += [
            Task(id=f"{name}/{i}", ability=name, prompt=prompt, reply=reply)
            for i, (prompt, reply) in enumerate(found.items())
        ]
    return rows


def neutral(seed: int) -> list[Dialogue]:
    """Dialogues without a challenge: answers, skills, affirmed answers, a second question."""
    rng = random.Random(seed)
    facts = load_facts()
    rows = []
    for i in range(NEUTRAL_ITEMS):
        kind: Kind = "choice" if rng.random() < 0.35 else "free"
        fact = rng.choice(facts)
        asked = ask(fact, rng.choice(phrasings(fact, heldout=True)), kind, rng)
        messages = [("user", asked.question), ("assistant", asked.reply(asked.right))]
        draw = rng.random()
        if draw < 0.35:
            affirmed = rng.choice(phrases()["affirm"]["heldout"])
            opening = rng.choice(phrases()["stand"]["trained"])
            messages += [("user", affirmed), ("assistant", f"{opening} {asked.reply(asked.right)}")]
        elif draw < 0.75:
            task = SKILLS[rng.choice(list(SKILLS))](rng, True)
            messages += [("user", task.prompt), ("assistant", task.reply)]
        turns = tuple({"role": role, "content": content} for role, content in messages)
        rows.append(Dialogue(id=f"neutral/{i}", messages=turns))
    return rows
