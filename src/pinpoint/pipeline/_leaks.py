"""No question is both trained on and evaluated, nor shared with those that heads are located and verified on."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Protocol

from pinpoint.checks import CheckResult
from pinpoint.data import Corpus, Overlap, Passage
from pinpoint.errors import InputError

NAME = "training, locating and evaluation questions differ"
_SHOWN = 5
_BETWEEN_SETS = (
    "Take them out of one of the two, or give one published set alone, which is dealt so that its splits share none. "
    "Of data.locate, train and evaluate, data.leave_out_shared: true takes them out, and counts them."
)
_GROUPS = " Questions of one group are one fact: where they are not, give the groups names of their own."
_OF_TASKS = "Leave the task out, or take them out of what is trained on, and run anew."


class Sourced(Protocol):
    """An item with a text of its own and a place that it was read from."""

    @property
    def id(self) -> str:
        """Its name, where it has no place."""
        ...

    @property
    def text(self) -> str:
        """What is compared."""
        ...

    @property
    def place(self) -> str:
        """File and line."""
        ...


def no_leak(sets: Mapping[str, Sequence[Sourced]]) -> CheckResult:
    """Holds the sets of a run to one another: by what they ask, normalised text, and runs of words (see `Corpus`).

    Args:
        sets: items by what they are for, in a few words: "training".

    Returns:
        What was compared.

    Raises:
        InputError: two sets share a question; names the file and line of both, and the mend.
    """
    corpus, places = _together(sets)
    for first, second in combinations(sets, 2):
        if found := corpus.overlaps(places[first], places[second]):
            raise _refusal(first, second, found, _BETWEEN_SETS)
    sizes = ", ".join(f"{len(items)} for {name}" for name, items in sets.items())
    return CheckResult(name=NAME, ok=True, detail=f"no question is shared, nor a run of words: {sizes}")


def scored_apart(
    trained: Sequence[Sourced], located: Sequence[Sourced], scored: Sequence[Sourced]
) -> list[tuple[str, str]]:
    """Holds items that are scored by tasks of elsewhere to a run's questions, by the same rule.

    Args:
        trained: questions of training.
        located: those that heads are located and verified on, and validation's: sharing these is told, not refused.
        scored: texts of the items; several may be of one.

    Returns:
        Places of the located questions that are scored, each with that of one item that has it.

    Raises:
        InputError: one of training is scored; names both places, and the mend.
    """
    names = ("training", "locating and verifying", "these tasks")
    corpus, places = _together(dict(zip(names, (trained, located, scored), strict=True)))
    if found := _by_item(corpus.overlaps(places[names[0]], places[names[2]])):
        raise _refusal(names[0], names[2], found, _OF_TASKS)
    return [
        (one.first.place, one.second.place) for one in _by_item(corpus.overlaps(places[names[1]], places[names[2]]))
    ]


def _together(sets: Mapping[str, Sequence[Sourced]]) -> tuple[Corpus, dict[str, list[int]]]:
    passages, places = list[Passage](), dict[str, list[int]]()
    for name, items in sets.items():
        begin = len(passages)
        passages += [
            Passage(one.place or one.id, getattr(one, "group", one.id), one.text, getattr(one, "asks", ()))
            for one in items
        ]
        places[name] = list(range(begin, len(passages)))
    return Corpus(passages), places


def _by_item(found: Sequence[Overlap]) -> list[Overlap]:
    return list({one.second.place: one for one in found}.values())


def _refusal(first: str, second: str, found: Sequence[Overlap], mend: str) -> InputError:
    shown = [f"{one.first.place} and {one.second.place} ({_cut(one.words)!r})" for one in found[:_SHOWN]]
    mend += _GROUPS if any(one.words in one.second.asks and one.words.startswith("group ") for one in found) else ""
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return InputError(
        f"{len(found)} question(s) for {second} stand among those for {first} too: {'; '.join(shown)}{more}.",
        mend=f"What is measured on them would mislead. {mend}",
    )


def _cut(words: str, most: int = 80) -> str:
    return words if len(words) <= most else f"{words[: most - 3]}..."
