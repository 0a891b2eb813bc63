"""Drawing some of many items."""

import random
from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


def draw(items: Sequence[_Item], most: int, seed: int) -> list[_Item]:
    """At most `most` items, drawn by the seed, in their order: the first ones of a sorted file are no sample."""
    if len(items) <= most:
        return list(items)
    chosen = random.Random(seed).sample(range(len(items)), most)
    return [items[i] for i in sorted(chosen)]
