"""Head orders to compare a ranking with: random ones, and random ones from the same layers."""

import random
from collections.abc import Sequence

from pinpoint.heads import Head, HeadSet


def random_order(heads: Sequence[Head], count: int, rng: random.Random) -> HeadSet:
    """`count` heads drawn from all heads of a model."""
    return HeadSet(rng.sample(heads, count))


def matched_order(ranked: Sequence[Head], heads: int, rng: random.Random) -> HeadSet:
    """For each ranked head, another head of its layer, without repetition.

    A head of the ranking itself is drawn only where its layer has no other left.
    """
    drawn: list[Head] = []
    for layer, _ in ranked:
        left = [Head(layer, head) for head in range(heads) if Head(layer, head) not in drawn]
        others = [head for head in left if head not in ranked]
        drawn.append(rng.choice(others or left))
    return HeadSet(drawn)
