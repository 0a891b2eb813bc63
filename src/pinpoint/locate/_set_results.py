"""What searches for sets of heads, and measures of them, give."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from pinpoint.heads import Head
from pinpoint.views import Points, figure_of, html_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

_JOINT = "joint effect"
_SIZE = "heads in the set"
_COLUMNS = ["step", "added", "head", "heads", "joint"]


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
        >>> list(steps.plot().data[0].text)
        ['+ L0.H3', '+ L0.H2']
    """

    @property
    def heads(self) -> tuple[Head, ...]:
        """The set that the search ended with; empty where no head lowers the metric."""
        return self[-1].heads if self else ()

    def to_pandas(self) -> "DataFrame":
        """One row a step: step, whether the head was added, head, the set after it, and the set's joint effect."""
        import pandas

        return pandas.DataFrame(self.rows(), columns=_COLUMNS)

    def rows(self) -> list[tuple[int, bool, str, str, float]]:
        """The rows of the table."""
        named = [(str(step.head), ",".join(map(str, step.heads))) for step in self]
        return [(i, step.added, *names, step.joint) for i, (step, names) in enumerate(zip(self, named, strict=True), 1)]

    def plot(self) -> "Figure":
        """The joint effect after each step against the size of the set then, as a plotly figure."""
        title = f"a set of {len(self.heads)} heads, found in {len(self)} steps"
        return figure_of({"steps": self.points()}, title=title, x=_SIZE, y=_JOINT)

    def points(self) -> Points:
        """The steps as a series of a figure: sizes of the set, its joint effects, what joined or left."""
        words = [f"{'+' if step.added else '-'} {step.head}" for step in self]
        return Points([len(step.heads) for step in self], [step.joint for step in self], words, joined=True)

    def _repr_html_(self) -> str:
        """The steps, for a notebook."""
        return html_of(f"A set of {len(self.heads)} heads, found in {len(self)} steps", self.to_pandas())


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
        >>> found.to_pandas()[["effect", "alone"]].round(1)
           effect  alone
        0   -11.1  -10.3
    """

    effect: float
    standard_error: float | None
    alone: float
    pairs: int

    def __str__(self) -> str:
        error = "" if self.standard_error is None else f" (standard error {self.standard_error:.4f})"
        return f"{self.effect:+.4f}{error}; one at a time they add up to {self.alone:+.4f}, on {self.pairs} pairs"

    def to_pandas(self) -> "DataFrame":
        """One row, a column for each attribute."""
        import pandas

        return pandas.DataFrame([self._asdict()])

    def plot(self) -> "Figure":
        """The joint effect with its standard error, beside the sum of the effects alone, as a plotly figure."""
        error = [] if self.standard_error is None else [self.standard_error, 0.0]
        points = Points(["together", "one at a time, added up"], [self.effect, self.alone], error=error)
        return figure_of({_JOINT: points}, title=f"{_JOINT} on {self.pairs} pairs", x="", y="effect")

    def _repr_html_(self) -> str:
        """A sentence, for a notebook."""
        return html_of(f"Joint effect: {self}")


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
        >>> found.to_pandas()["search"].unique().tolist()
        ['forward', 'backward']
    """

    heads: tuple[Head, ...]
    search: Literal["forward", "backward"]
    chosen_on: float
    joint: Joint | None
    forward: SetSteps
    backward: SetSteps

    def to_pandas(self) -> "DataFrame":
        """One row a step of either search, as `SetSteps.to_pandas` has it, behind the search's name."""
        import pandas

        searches = {"forward": self.forward, "backward": self.backward}
        rows = [(name, *row) for name, steps in searches.items() for row in steps.rows()]
        return pandas.DataFrame(rows, columns=["search", *_COLUMNS])

    def plot(self) -> "Figure":
        """Both searches, joint effects on the pairs that chose against sizes of the set, as a plotly figure."""
        series = {"forward": self.forward.points(), "backward": self.backward.points()}
        return figure_of(series, title=self._title, x=_SIZE, y=f"{_JOINT} on the pairs that chose")

    def _repr_html_(self) -> str:
        """The set, what it does on other pairs, and the steps of both searches, for a notebook."""
        elsewhere = () if self.joint is None else (f"On pairs that did not choose them: {self.joint}",)
        return html_of(self._title, self.to_pandas(), *elsewhere)

    @property
    def _title(self) -> str:
        return f"{', '.join(map(str, self.heads))}: {len(self.heads)} heads, by the {self.search} search"
