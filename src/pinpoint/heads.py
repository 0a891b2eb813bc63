"""Attention heads, sets of them, and their scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pinpoint.errors import InputError
from pinpoint.reliability import Reliability, Rounding, Routing, split_half, standard_error
from pinpoint.views import html_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from pandas import DataFrame
    from plotly.graph_objects import Figure
    from torch import Tensor

_SHOWN = 10
_LABELS = {
    "path": "direct effect by path patching",
    "activation": "total effect by activation patching",
    "attribution": "total effect estimated by attribution patching",
    "knockout": "effect of knocking each head out alone",
    "probe": "held-out accuracy of linear probes",
    "random": "random scores",
}
_NO_EFFECTS = ("probe", "random")
_SOMEWHERE = ("activation", "attribution", "knockout")
_PATCHED = {"last": "last position", "suffix": "from the first difference on", "all": "all positions"}


class Head(NamedTuple):
    """One attention head; prints as "L12.H5".

    Example:
        >>> head = pinpoint.Head.parse("L12.H5")
        >>> head.layer, head.head, str(head)
        (12, 5, 'L12.H5')
    """

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
        match = re.fullmatch(r"L([0-9]{1,6})\.H([0-9]{1,6})", text.strip())
        if match is None:
            raise InputError(f"{text!r} is not a head.", mend='Write heads as "L12.H5".')
        return cls(int(match[1]), int(match[2]))


class HeadSet(tuple[Head, ...]):
    """An ordered set of heads; the order is the rank.

    Example:
        >>> heads = pinpoint.HeadSet(pinpoint.Head.parse(name) for name in ("L6.H0", "L0.H3", "L0.H2", "L0.H3"))
        >>> print(*heads)
        L6.H0 L0.H3 L0.H2
        >>> heads.by_layer()
        {0: [2, 3], 6: [0]}
    """

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


@dataclass(frozen=True, eq=False, repr=False)
class HeadScores:
    """Scores of all heads of a model.

    Attributes:
        effects: metric(patched or knocked out) - metric(reference), where the metric is unwanted minus wanted, so
            that the most negative heads cause the unwanted behaviour. Unit: logits for `logit_diff`,
            nats for `log_odds`, percent for `paper_share`. The methods "probe" and "random" give no effects: the
            share of a pair's two prompts that a probe tells apart, and a random number.
        reference: the metric on the unpatched reference prompts.
        metric: name of the metric.
        engine: name of the engine that computed the effects.
        seconds: wall time of the computation.
        layers: the layers that have heads; None for all. The effects of the others are 0.
        method: "path", "activation", "attribution", "knockout", "probe" or "random": see `pinpoint.locate`.
        positions: where heads were patched, knocked out or read: "last", "suffix" or "all".
        through: "q", "k" or "v" where effects through `receivers` were scored: see `pinpoint.locate_paths`.
        receivers: the heads that the paths lead through; empty for effects on the logits by whatever way.
        groups: what each pair belongs to; empty where every pair stands for itself.
        rounding: what the model's dtype does to the mean effects, by layer and head; None where it was not measured.
        routing: whether experts were chosen as in the model's own pass; None without experts, or where no sweep ran.

    Example:
        With `scores` from the example of `locate`:

        >>> scores
        <HeadScores: 64 heads (direct effect by path patching, sweep), logit_diff, 4 pairs>
        >>> round(float(scores.mean[0, 3]), 1), bool(scores.mean[0, 3] < -2 * scores.standard_error[0, 3])
        (-7.2, True)
        >>> scores.to_pandas().head(2)[["head", "effect"]].round(1)
            head  effect
        0  L0.H3    -7.2
        1  L0.H2    -3.1
        >>> scores.plot().data[0].type
        'heatmap'
        >>> print(*scores.of([0, 1]).ranking()[:2])
        L0.H3 L0.H2
    """

    effects: Float[Tensor, "pair layer head"]
    reference: Float[Tensor, " pair"]
    metric: str
    engine: str
    seconds: float = field(default=0.0)
    layers: tuple[int, ...] | None = field(default=None)
    method: str = field(default="path")
    positions: str = field(default="last")
    through: str = field(default="")
    receivers: tuple[Head, ...] = field(default=())
    groups: tuple[str, ...] = field(default=())
    rounding: Rounding | None = field(default=None)
    routing: Routing | None = field(default=None)

    def __repr__(self) -> str:
        return f"<HeadScores: {self.mean.numel()} heads ({self.label}), {self.metric}, {len(self.effects)} pairs>"

    @property
    def label(self) -> str:
        """What was measured, in words."""
        if self.receivers:
            where = f", {_PATCHED[self.positions]}" if self.through != "q" else ""
            heads = ", ".join(map(str, self.receivers))
            return f"effect by path patching through {self.through} of {heads}{where}, {self.engine}"
        where = f", {_PATCHED[self.positions]}" if self.method in _SOMEWHERE else ""
        return f"{_LABELS[self.method]}{where}, {self.engine}"

    @property
    def mean(self) -> Float[Tensor, "layer head"]:
        """Mean effect of each head over the pairs."""
        return self.effects.mean(dim=0)

    @property
    def standard_error(self) -> Float[Tensor, "layer head"]:
        """Standard error of `mean`: see `pinpoint.reliability.standard_error`."""
        return standard_error(self.effects, self.groups)

    @cached_property
    def reliability(self) -> Reliability:
        """Split-half reliability of the map: see `pinpoint.reliability.split_half`. Random numbers have none."""
        found = list(range(self.effects.shape[1]) if self.layers is None else self.layers)
        effects = self.effects[:, found].flatten(1).double().numpy()
        if self.method == "random":
            effects = effects[:, :0]
        return split_half(effects, self.groups or tuple(map(str, range(len(effects)))))

    @property
    def noise_floor(self) -> float | None:
        """Rounding alone moves no mean effect by more; None where it was not measured."""
        return None if self.rounding is None else self.rounding.floor

    @property
    def above_noise(self) -> Bool[Tensor, "layer head"] | None:
        """Which mean effects are larger than the noise floor; None where that was not measured."""
        return None if self.rounding is None else self.mean.abs() > self.rounding.floor

    @property
    def worth(self) -> str:
        """What the map is worth, in words: its reliability and its noise floor."""
        steady = f"split-half reliability {self.reliability}"
        if self.reliability.halvings:
            steady += f" over {self.reliability.halvings} halvings of {self.reliability.pairs} pairs"
        if self.method in _NO_EFFECTS:
            return steady
        if self.rounding is None:
            return f"{steady}; noise floor not measured"
        heads, over = self.ranking(), self.above_noise
        above = sum(bool(over is not None and over[head]) for head in heads)
        return (
            f"{steady}; noise floor {self.rounding.floor:.1e} ({self.rounding.dtype} against {self.rounding.against}, "
            f"{self.rounding.pairs} pairs): {above} of {len(heads)} heads lie above it"
        )

    def ranking(self) -> HeadSet:
        """All heads, those that cause the behaviour most first; ties in order of layer and head.

        Under "probe", those come first whose probes tell the prompts apart best.
        """
        mean = -self.mean if self.method == "probe" else self.mean
        found = range(len(mean)) if self.layers is None else self.layers
        heads = [Head(layer, head) for layer in found for head in range(mean.shape[1])]
        return HeadSet(sorted(heads, key=lambda head: float(mean[head])))

    def top(self, count: int) -> list[Head]:
        """The first `count` heads of the ranking: those that cause the behaviour."""
        return list(self.ranking()[:count])

    def to_pandas(self) -> "DataFrame":
        """One row a head, the strongest first: head, layer, index, effect, standard error, pairs, above_noise.

        `above_noise` is None where the noise floor was not measured. The table's `attrs` hold the reliability, the ends
        of its interval, and the noise floor.
        """
        import pandas

        mean, error, above = self.mean, self.standard_error, self.above_noise
        rows = [
            {
                "head": str(head),
                "layer": head.layer,
                "index": head.head,
                "effect": float(mean[head.layer, head.head]),
                "standard_error": float(error[head.layer, head.head]),
                "pairs": len(self.effects),
                "above_noise": None if above is None else bool(above[head]),
            }
            for head in self.ranking()
        ]
        table = pandas.DataFrame(rows)
        value, low, high, *_ = self.reliability
        table.attrs = {"reliability": value, "low": low, "high": high, "noise_floor": self.noise_floor}
        return table

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
        title = {"text": f"{mean.numel()} heads: {self.label}", "subtitle": {"text": self.worth}}
        figure.update_layout(xaxis_title="head", yaxis_title="layer", title=title)
        return figure

    def _repr_html_(self) -> str:
        """The ten strongest heads, for a notebook."""
        title = f"{self.metric}, {self.label}, {len(self.effects)} pairs; the first of {self.mean.numel()} heads"
        return html_of(title, self.to_pandas().head(_SHOWN), self.worth)

    def of(self, pairs: slice | list[int]) -> "HeadScores":
        """The same scores over a subset of the pairs."""
        groups = subset(self.groups, pairs)
        return replace(self, effects=self.effects[pairs], reference=self.reference[pairs], groups=groups)


def subset(groups: tuple[str, ...], pairs: slice | list[int]) -> tuple[str, ...]:
    """The groups of some pairs; none where every pair stands for itself."""
    if isinstance(pairs, slice):
        return groups[pairs]
    return tuple(groups[i] for i in pairs) if groups else ()
