"""Attention heads, sets of them, and their scores."""

import html
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Float
from torch import Tensor

from pinpoint.errors import InputError

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

_SHOWN = 10


class Head(NamedTuple):
    """One attention head; prints as "L12.H5"."""

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}.H{self.head}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Reads "L12.H5".

        Raises:
            InputError: the text is not of that form.
        """
        match = re.fullmatch(r"L(\d+)\.H(\d+)", text.strip())
        if match is None:
            raise InputError(f"{text!r} is not a head.", mend='Write heads as "L12.H5".')
        return cls(int(match[1]), int(match[2]))


class HeadSet(tuple[Head, ...]):
    """An ordered set of heads; the order is the rank."""

    __slots__ = ()

    def __new__(cls, heads: Iterable[Head] = ()) -> "HeadSet":
        """Keeps the first of each head."""
        return super().__new__(cls, dict.fromkeys(heads))

    def by_layer(self) -> dict[int, list[int]]:
        """Head indices of each layer, both in rising order."""
        layers: dict[int, list[int]] = {}
        for layer, head in sorted(self):
            layers.setdefault(layer, []).append(head)
        return layers


@dataclass(frozen=True, eq=False)
class HeadScores:
    """Effects of all heads of a model.

    Attributes:
        effects: metric(patched) - metric(reference), where the metric is unwanted minus wanted, so
            that the most negative heads cause the unwanted behaviour. Unit: logits for `logit_diff`,
            nats for `log_odds`, percent for `paper_share`.
        reference: the metric on the unpatched reference prompts.
        metric: name of the metric.
        engine: name of the engine that computed the effects.
        seconds: wall time of the computation.
        layers: the layers that have heads; None for all. The effects of the others are 0.
    """

    effects: Float[Tensor, "pair layer head"]
    reference: Float[Tensor, " pair"]
    metric: str
    engine: str
    seconds: float = field(default=0.0)
    layers: tuple[int, ...] | None = field(default=None)

    @property
    def mean(self) -> Float[Tensor, "layer head"]:
        """Mean effect of each head over the pairs."""
        return self.effects.mean(dim=0)

    @property
    def standard_error(self) -> Float[Tensor, "layer head"]:
        """Standard error of `mean`; NaN with a single pair."""
        spread: Tensor = self.effects.std(dim=0)
        return spread / math.sqrt(self.effects.shape[0])

    def ranking(self) -> HeadSet:
        """All heads, those that cause the behaviour most first; ties in order of layer and head."""
        mean = self.mean
        found = range(len(mean)) if self.layers is None else self.layers
        heads = [Head(layer, head) for layer in found for head in range(mean.shape[1])]
        return HeadSet(sorted(heads, key=lambda head: float(mean[head])))

    def top(self, count: int) -> list[Head]:
        """The `count` most negative heads: those that cause the behaviour."""
        return list(self.ranking()[:count])

    def to_pandas(self) -> "DataFrame":
        """One row a head, the strongest first: head, layer, index, effect, standard error, pairs."""
        import pandas

        mean, error = self.mean, self.standard_error
        rows = [
            {
                "head": str(head),
                "layer": head.layer,
                "index": head.head,
                "effect": float(mean[head.layer, head.head]),
                "standard_error": float(error[head.layer, head.head]),
                "pairs": len(self.effects),
            }
            for head in self.ranking()
        ]
        return pandas.DataFrame(rows)

    def plot(self) -> "Figure":
        """The head map as a plotly figure: mean effects around zero, layer 0 at the bottom."""
        import plotly.graph_objects as go

        mean = self.mean
        heat = go.Heatmap(
            z=mean.tolist(),
            zmid=0,
            colorscale="RdBu",
            colorbar={"title": self.metric},
            hovertemplate="L%{y}.H%{x}: %{z:.4f}<extra></extra>",
        )
        figure = go.Figure(heat)
        figure.update_layout(
            xaxis_title="head", yaxis_title="layer", title=f"effect of {mean.numel()} heads, {self.engine}"
        )
        return figure

    def _repr_html_(self) -> str:
        """The ten strongest heads, for a notebook."""
        table: str = self.to_pandas().head(_SHOWN).to_html(index=False, float_format="{:+.4f}".format)
        title = f"{self.metric}, {len(self.effects)} pairs; the strongest of {self.mean.numel()} heads"
        return f"<p>{html.escape(title)}</p>{table}"

    def of(self, pairs: slice | list[int]) -> "HeadScores":
        """The same scores over a subset of the pairs."""
        return HeadScores(
            self.effects[pairs], self.reference[pairs], self.metric, self.engine, self.seconds, self.layers
        )
