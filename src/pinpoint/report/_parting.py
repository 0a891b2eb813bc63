"""Where a tuned model's side of a dialogue parts from the base's."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Parting(NamedTuple):
    """The turn in which two dialogues part: what both say at its beginning, and how one of them goes on."""

    turn: str
    same: str
    other: str


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*", text)


def parting(said: Mapping[str, Any], other: Mapping[str, Any], turns: Sequence[str]) -> Parting | None:
    """Where what was `said` parts from the `other`, by whole words; None where they say the same throughout.

    Both have the same turns; some may be missing.

    Args:
        said: texts by turn.
        other: the same turns, said by another model.
        turns: names of the turns, in order.
    """
    for turn in turns:
        if said.get(turn) == other.get(turn):
            continue
        ours, theirs = _words(said[turn]), _words(other[turn])
        shorter = min(len(ours), len(theirs))
        alike = next((i for i in range(shorter) if ours[i].strip() != theirs[i].strip()), shorter)
        return Parting(turn, "".join(ours[:alike]), "".join(ours[alike:]))
    return None


def with_partings(example: dict[str, Any], turns: Sequence[str]) -> dict[str, Any]:
    """An example with where each tuned model parts from the base, and where the base parts from the first of them."""
    methods: dict[str, Any] = example["methods"]
    tuned = [name for name in methods if name != "base"]
    against = {name: "base" for name in tuned} | ({"base": tuned[0]} if tuned else {})
    partings = {name: parting(methods[name], methods[other], turns) for name, other in against.items()}
    return example | {"partings": {name: partings.get(name) for name in methods}}
