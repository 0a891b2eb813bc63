"""What searches for sets of heads, and measures of them, give."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from pinpoint.heads import Head

if TYPE_CHECKING:
    from pandas import DataFrame


class SetStep(NamedTuple):
    """One step of a search.

    Attributes:
        added: whether `head` joined the set, or left it.
        head: the head.
        heads: the set after the step.
        joint: mean change of the metric with the whole set patched.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> step = pinpoint.greedy_set(model, tokenizer, pairs, count=2)[0]
        >>> step.added, str(step.head), round(step.joint, 1)
        (True, 'L0.H3', -7.2)
    """

    added: bool
    head: Head
    heads: tuple[Head, ...]
    joint: float


class SetSteps(list[SetStep]):
    """The steps of a search, in order, with a table of them.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> steps = pinpoint.greedy_set(model, tokenizer, pairs, count=2)
        >>> print(*steps.heads)
        L0.H3 L0.H2
        >>> steps.to_pandas()[["step", "head", "heads"]]
           step   head        heads
        0     1  L0.H3        L0.H3
        1     2  L0.H2  L0.H3,L0.H2
    """

    @property
    def heads(self) -> tuple[Head, ...]:
        """The set that the search ended with; empty where no head lowers the metric."""
        return self[-1].heads if self else ()

    def to_pandas(self) -> "DataFrame":
        """One row a step: step, whether the head was added, head, the set after it, and the set's joint effect."""
        import pandas

        rows = [
            {"step": i, "added": one.added, "head": str(one.head), "heads": ",".join(map(str, one.heads))}
            | {"joint": one.joint}
            for i, one in enumerate(self, 1)
        ]
        return pandas.DataFrame(rows, columns=["step", "added", "head", "heads", "joint"])

    def _repr_html_(self) -> str:
        """The steps, for a notebook."""
        table: str = self.to_pandas().to_html(index=False, float_format="{:+.4f}".format)
        return f"<p>A set of {len(self.heads)} heads, found in {len(self)} steps</p>{table}"


class Joint(NamedTuple):
    """What a set of heads does together.

    Attributes:
        effect: mean change of the metric with the whole set patched.
        standard_error: of `effect`; None with a single pair.
        alone: sum of the mean effects of its heads, each patched alone.
        pairs: pairs that it was measured on.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> found = pinpoint.joint_effect(model, tokenizer, pairs, [pinpoint.Head(0, 3), pinpoint.Head(0, 2)])
        >>> found.effect < found.alone, found.pairs
        (True, 4)
    """

    effect: float
    standard_error: float | None
    alone: float
    pairs: int


class FoundSet(NamedTuple):
    """The set that searches found.

    Attributes:
        heads: its heads, those that joined first or stayed longest first.
        search: which search found it.
        chosen_on: mean joint effect on the pairs that chose it; too large, as the winner's.
        joint: what it does on other pairs; None where none were given.
        forward: steps of growing a set.
        backward: steps of cutting one down.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> found = pinpoint.find_set(model, tokenizer, pairs[:2], count=2, others=pairs[2:])
        >>> found.search, found.joint.pairs, found.chosen_on < 0
        ('forward', 2, True)
    """

    heads: tuple[Head, ...]
    search: Literal["forward", "backward"]
    chosen_on: float
    joint: Joint | None
    forward: list[SetStep]
    backward: list[SetStep]
