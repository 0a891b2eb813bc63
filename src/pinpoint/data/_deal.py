"""Published questions made ready for a run: a fixed wrong answer for each, and splits that share no question."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypeVar

from pinpoint.data._draw import draw
from pinpoint.data._leakage import Corpus, Passage, same_text
from pinpoint.data._published_row import BadRow, Published, same_answer, twins
from pinpoint.data._questions import Dialogue, Question, Split

Alike = Callable[[str, Sequence[str]], bool]
Shares = tuple[tuple[Split, float], ...]
_Item = TypeVar("_Item", bound=Hashable)

SHARES: Shares = (("locate", 0.15), ("train", 0.35), ("validation", 0.1), ("test", 0.4))
"""How a set that serves every stage is dealt to splits."""
_NEUTRAL = 240


class Dealt(NamedTuple):
    """Questions with splits, and the rows that could not be used.

    Attributes:
        questions: one of each row that can be.
        unusable: rows that none was made of.
        noted: rows of which something was not kept.
    """

    questions: list[Question]
    unusable: list[BadRow]
    noted: Sequence[BadRow] = ()

    def summary(self) -> str:
        """One line: how many of each split, what was left out and why."""
        splits = Counter(question.split for question in self.questions)
        summary = f"{len(self.questions)} questions ({', '.join(f'{n} {name}' for name, n in splits.items())})"
        if self.unusable:
            summary += f"; left out {len(self.unusable)}: {_by_reason(self.unusable)}"
        if self.noted:
            summary += f"; asked in words other than the set's {len(self.noted)}: {_by_reason(self.noted)}"
        return summary


def _by_reason(rows: Sequence[BadRow]) -> str:
    reasons = Counter(row.reason for row in rows)
    first = {row.reason: row.line for row in reversed(rows)}
    return "; ".join(f"{n} x {reason} (first: {first[reason]})" for reason, n in reasons.most_common(5))


def _worded(row: Published) -> str:
    if not row.options:
        return row.question
    return "\n".join([row.question, *(f"({letter}) {text}" for letter, text in row.options.items())])


def _equal(answer: str, others: Sequence[str]) -> bool:
    # Of an answer of signs alone, words say nothing.
    return (same_text(answer) or answer) in (same_text(other) or other for other in others)


def _wrong(row: Published, pool: Sequence[str], rng: random.Random, alike: Alike) -> str | None:
    """The set's own wrong answer, another option, or another question's answer."""
    if row.options:
        right = row.options[row.correct]
        return row.wrong or rng.choice([letter for letter, text in row.options.items() if not twins(text, right)])
    taken = (row.correct, *row.aliases)
    # What the set itself calls wrong may share words with what is right.
    if row.wrong is not None and not any(same_answer(row.wrong, one) for one in taken):
        return row.wrong
    begin = rng.randrange(len(pool))
    others = (pool[i % len(pool)] for i in range(begin, begin + len(pool)))
    return next((answer for answer in others if not (_equal(answer, taken) or alike(answer, taken))), None)


def deal_splits(items: Sequence[_Item], shares: Shares, rng: random.Random) -> dict[_Item, Split]:
    """Shuffles items and deals them to splits by their shares of 1."""
    shuffled = list(items)
    rng.shuffle(shuffled)
    dealt: dict[_Item, Split] = {}
    begin, share = 0, 0.0
    for split, part in shares:
        share += part
        end = round(share * len(shuffled))
        dealt.update(dict.fromkeys(shuffled[begin:end], split))
        begin = end
    return dealt


def _splits(rows: Sequence[Published], shares: Shares, rng: random.Random) -> dict[str, Split]:
    """The split of each group; groups that share words lie in one."""
    groups = [same_text(row.question) for row in rows]
    if len(shares) == 1:
        return dict.fromkeys(groups, shares[0][0])
    passages = [Passage(row.line, group, _worded(row)) for row, group in zip(rows, groups, strict=True)]
    component = dict(zip(groups, Corpus(passages).components(), strict=True))
    dealt = deal_splits(list(dict.fromkeys(component.values())), shares, rng)
    return {group: dealt[number] for group, number in component.items()}


def deal(rows: Sequence[Published | BadRow], seed: int, shares: Shares = SHARES, *, alike: Alike = _equal) -> Dealt:
    """Chooses wrong answers and splits, by the seed alone.

    A question that stands in the set more than once stays in one split, and so do questions that share a passage or
    most of their words (see `Corpus`); an exact repeat is left out.

    Args:
        rows: of one set, or of several that are dealt together.
        seed: of the draws.
        shares: the splits, each with its share of 1.
        alike: whether an answer to another question could be taken for one of the right ones; such a one is not dealt.
            Texts that are equal but for case and punctuation always could.
    """
    rng = random.Random(seed)
    unusable = [row for row in rows if isinstance(row, BadRow)]
    usable = [row for row in rows if isinstance(row, Published)]
    pools: dict[str, list[str]] = {}
    for row in usable:
        if not row.options:
            pools.setdefault(row.source, []).append(row.correct)
    splits = _splits(usable, shares, rng)
    questions: list[Question] = []
    seen: set[str] = set()
    for row in usable:
        worded, wrong = _worded(row), _wrong(row, pools.get(row.source, []), rng, alike)
        if worded in seen or wrong is None:
            unusable.append(BadRow(row.line, "repeats a question" if worded in seen else "has no wrong answer"))
            continue
        seen.add(worded)
        group = same_text(row.question)
        made = Question(
            id="/".join(filter(None, (row.source, row.topic, row.line))),
            group=group,
            split=splits[group],
            kind="free" if not row.options else "reasoned" if row.reasoned else "choice",
            question=worded,
            correct=row.correct,
            wrong=wrong,
            choices=tuple(row.options.values()),
            dealt=not row.options and wrong != row.wrong,
            aliases=row.aliases,
            explanation=row.explanation,
            source=row.source,
            prompt=row.prompt,
        )
        questions.append(made.at(row.line))
    made_of = {question.place for question in questions}
    noted = [BadRow(row.line, row.note) for row in usable if row.note and row.line in made_of]
    return Dealt(questions, unusable, noted)


def neutral_dialogues(questions: Sequence[Question], affirmation: str) -> list[Dialogue]:
    """Dialogues without a challenge, from questions: every second one ends with an answer that was affirmed."""
    made = []
    for i, question in enumerate(draw(questions, _NEUTRAL, 0)):
        answer = question.state(question.correct)
        messages = [{"role": "user", "content": question.question}, {"role": "assistant", "content": answer}]
        if i % 2:
            messages.append({"role": "user", "content": affirmation})
            messages.append({"role": "assistant", "content": f"Yes, I am sure. {answer}"})
        made.append(Dialogue(id=f"neutral/{question.id}", messages=tuple(messages)))
    return made
