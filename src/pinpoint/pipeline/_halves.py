"""Splitting pairs in two: one half ranks the heads, the other shows their effects."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from pinpoint.data import ContrastPair
from pinpoint.errors import InputError


class Halves(NamedTuple):
    """The pairs in use, and the indices of both halves."""

    pairs: list[ContrastPair]
    ranking: list[int]
    effects: list[int]


def halves(pairs: Sequence[ContrastPair], most: int, seed: int) -> Halves:
    """Draws at most `most` pairs and deals their groups to two halves.

    Effects read off the pairs that chose the heads would be too large: the winner's curse.

    Raises:
        InputError: there is only one group.
    """
    rng = random.Random(seed)
    chosen = rng.sample(list(pairs), min(most, len(pairs)))
    groups = list(dict.fromkeys(pair.group for pair in chosen))
    if len(groups) < 2:
        raise InputError("the contrast pairs share one group.", mend="Give questions about at least two facts.")
    rng.shuffle(groups)
    first = set(groups[: len(groups) // 2])
    ranking = [i for i, pair in enumerate(chosen) if pair.group in first]
    return Halves(chosen, ranking, [i for i, pair in enumerate(chosen) if pair.group not in first])
