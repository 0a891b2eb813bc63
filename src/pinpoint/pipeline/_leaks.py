"""No question is both trained on and evaluated, nor shared with those that heads are located and verified on."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Protocol

from pinpoint.checks import CheckResult
from pinpoint.data import Corpus, Overlap, Passage
from pinpoint.errors import InputError

NAME = "training, locating and evaluation questions differ"
_SHOWN = 5


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
    """Holds the sets of a run to one another: by normalised text, and by runs of words (see `Corpus`).

    Args:
        sets: items by what they are for, in a few words: "training".

    Returns:
        What was compared.

    Raises:
        InputError: two sets share a question; names the file and line of both, and the mend.
    """
    passages, places = list[Passage](), dict[str, list[int]]()
    for name, items in sets.items():
        begin = len(passages)
        passages += [Passage(one.place or one.id, getattr(one, "group", one.id), one.text) for one in items]
        places[name] = list(range(begin, len(passages)))
    corpus = Corpus(passages)
    for first, second in combinations(sets, 2):
        if found := corpus.overlaps(places[first], places[second]):
            raise _refusal(first, second, found)
    sizes = ", ".join(f"{len(items)} for {name}" for name, items in sets.items())
    return CheckResult(name=NAME, ok=True, detail=f"no question is shared, nor a run of words: {sizes}")


def _refusal(first: str, second: str, found: Sequence[Overlap]) -> InputError:
    shown = [f"{one.first.place} and {one.second.place} ({_cut(one.words)!r})" for one in found[:_SHOWN]]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return InputError(
        f"{len(found)} question(s) for {second} stand among those for {first} too: {'; '.join(shown)}{more}.",
        mend="What is measured on them would mislead. Take them out of one of the two, or give one published set "
        "alone, which is dealt so that its splits share none. Of data.locate, train and evaluate, "
        "data.leave_out_shared: true takes them out, and counts them.",
    )


def _cut(words: str, most: int = 80) -> str:
    return words if len(words) <= most else f"{words[: most - 3]}..."
