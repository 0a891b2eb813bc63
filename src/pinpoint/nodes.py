"""Nodes beyond heads: whole attention layers, groups of heads that share a key/value head, MLPs; and their scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from pinpoint.errors import ConfigError, InputError
from pinpoint.heads import Head, HeadScores, subset
from pinpoint.reliability import Reliability, Rounding, Routing, split_half, standard_error
from pinpoint.views import Points, figure_of, html_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from pandas import DataFrame
    from plotly.graph_objects import Figure
    from torch import Tensor

Kind = Literal["heads", "groups", "attention", "mlps"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SHOWN = 10
_LETTERS: dict[str, Kind] = {"H": "heads", "G": "groups", "ATT": "attention", "MLP": "mlps"}
_PREFIXES = {kind: letters for letters, kind in _LETTERS.items()}


class Node(NamedTuple):
    """A part of a block whose output is patched; prints as "L3.H5", "L3.G1", "L3.ATT" or "L3.MLP".

    Attributes:
        kind: a head, a group of heads with one key/value head, all heads of a layer, or the MLP of a layer.
        layer: the block.
        unit: which head or group of the block; 0 for what a block has one of.

    Example:
        >>> pinpoint.Node.parse("L3.G1")
        Node(kind='groups', layer=3, unit=1)
        >>> print(pinpoint.Node("mlps", 3))
        L3.MLP
    """

    kind: Kind
    layer: int
    unit: int = 0

    def __str__(self) -> str:
        number = str(self.unit) if self.kind in ("heads", "groups") else ""
        return f"L{self.layer}.{_PREFIXES[self.kind]}{number}"

    @classmethod
    def parse(cls, text: str) -> "Node":
        """Reads what `str` writes.

        Raises:
            InputError: the text is not of that form.
        """
        match = re.fullmatch(r"L([0-9]{1,6})\.(?:([HG])([0-9]{1,6})|(ATT|MLP))", text.strip())
        if match is None:
            raise InputError(f"{text!r} is not a node.", mend='Write "L3.H5", "L3.G1", "L3.ATT" or "L3.MLP".')
        return cls(_LETTERS[match[2] or match[4]], int(match[1]), int(match[3] or 0))


def head_or_group(text: str) -> Node:
    """Reads "L3.H5", or "L3.G1" for all heads of a group.

    Raises:
        InputError: the text is of neither form.
    """
    return Node.parse(text) if ".G" in text else Node("heads", *Head.parse(text))


def checked_kinds(kinds: Iterable[str]) -> tuple[Kind, ...]:
    """Kinds of nodes, each once, in the order of `KINDS`.

    Raises:
        ConfigError: one is unknown, or there are none.
    """
    given = [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [kind for kind in given if kind not in KINDS]
    if unknown or not given:
        what = f"{unknown[0]!r} is not a kind of node" if unknown else "no kind of node is given"
        raise ConfigError(f"{what}.", where="nodes", mend=f"Use some of {', '.join(KINDS)}.")
    return tuple(kind for kind in KINDS if kind in given)


@dataclass(frozen=True, eq=False, repr=False)
class NodeScores:
    """Direct effects of nodes of several kinds.

    Effects of different kinds do not add up: that of an attention layer holds those of its heads, and how they
    act together through the MLPs above.

    Attributes:
        nodes: the nodes, kind by kind, layer by layer.
        effects: metric(patched) - metric(reference), in the metric's unit, as in `HeadScores`.
        reference: the metric on the unpatched reference prompts.
        metric: name of the metric.
        engine: name of the engine that computed the effects.
        shape: blocks of the model and heads of a block.
        seconds: wall time of the computation.
        groups: what each pair belongs to; empty where every pair stands for itself.
        rounding: what the model's dtype does to the mean effects, by node; None where it was not measured.
        routing: whether experts were chosen as in the model's own pass; None without experts, or where no sweep ran.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> nodes = pinpoint.locate_nodes(model, tokenizer, pairs)
        >>> print(*nodes.top(1, "attention"), *nodes.top(1, "mlps"), *nodes.heads().top(1))
        L0.ATT L0.MLP L0.H3
        >>> nodes.only("groups").to_pandas().head(1)[["node", "effect"]].round(1)
            node  effect
        0  L0.G1   -11.1
    """

    nodes: tuple[Node, ...]
    effects: Float[Tensor, "pair node"]
    reference: Float[Tensor, " pair"]
    metric: str
    engine: str
    shape: tuple[int, int]
    seconds: float = field(default=0.0)
    groups: tuple[str, ...] = field(default=())
    rounding: Rounding | None = field(default=None)
    routing: Routing | None = field(default=None)

    def __repr__(self) -> str:
        return f"<NodeScores: {len(self.nodes)} nodes ({self.label}), {self.metric}, {len(self.effects)} pairs>"

    @property
    def label(self) -> str:
        """What was measured, in words."""
        return f"direct effect by path patching, {self.engine}"

    @property
    def mean(self) -> Float[Tensor, " node"]:
        """Mean effect of each node over the pairs."""
        return self.effects.mean(dim=0)

    @property
    def standard_error(self) -> Float[Tensor, " node"]:
        """Standard error of `mean`: see `pinpoint.reliability.standard_error`."""
        return standard_error(self.effects, self.groups)

    def reliability(self, kind: Kind) -> Reliability:
        """Split-half reliability of the scores of one kind: see `pinpoint.reliability.split_half`."""
        effects = self.only(kind).effects.double().numpy()
        return split_half(effects, self.groups or tuple(map(str, range(len(effects)))))

    def noise_floor(self, kind: Kind) -> float | None:
        """Rounding alone moves no mean effect of this kind by more; None where it was not measured."""
        own = self.only(kind).rounding
        return None if own is None else own.floor

    def ranking(self, kind: Kind | None = None) -> list[Node]:
        """All nodes, or those of one kind: those that cause the behaviour most first."""
        found = [(float(mean), node) for mean, node in zip(self.mean, self.nodes, strict=True)]
        return [node for _, node in sorted(found, key=lambda one: one[0]) if kind in (None, node.kind)]

    def top(self, count: int, kind: Kind | None = None) -> list[Node]:
        """The `count` most negative nodes."""
        return self.ranking(kind)[:count]

    def without(self, kind: Kind) -> "NodeScores":
        """The scores of all other kinds."""
        return self._kept([i for i, node in enumerate(self.nodes) if node.kind != kind])

    def only(self, kind: Kind) -> "NodeScores":
        """The scores of one kind."""
        return self._kept([i for i, node in enumerate(self.nodes) if node.kind == kind])

    def _kept(self, places: list[int]) -> "NodeScores":
        rounding = None if self.rounding is None else self.rounding.of(self.rounding.errors[places])
        nodes = tuple(self.nodes[i] for i in places)
        return replace(self, nodes=nodes, effects=self.effects[:, places], rounding=rounding)

    def of(self, pairs: slice | list[int]) -> "NodeScores":
        """The same scores over a subset of the pairs."""
        groups = subset(self.groups, pairs)
        return replace(self, effects=self.effects[pairs], reference=self.reference[pairs], groups=groups)

    def heads(self) -> HeadScores:
        """The scores of the heads.

        Raises:
            ConfigError: heads are not among the nodes.
        """
        found = self.only("heads")
        if not found.nodes:
            raise ConfigError("heads were not among the nodes.", where="nodes", mend='Ask for "heads", too.')
        at = [node.layer for node in found.nodes], [node.unit for node in found.nodes]
        effects = self.effects.new_zeros(len(self.effects), *self.shape)
        effects[:, *at] = found.effects
        errors = self.effects.new_zeros(self.shape)
        if found.rounding is not None:
            errors[at] = found.rounding.errors
        layers = tuple(sorted(set(at[0])))
        return HeadScores(
            effects,
            self.reference,
            self.metric,
            self.engine,
            self.seconds,
            layers,
            groups=self.groups,
            rounding=None if self.rounding is None else self.rounding.of(errors),
            routing=self.routing,
        )

    def to_pandas(self) -> "DataFrame":
        """One row a node, the strongest first: node, kind, layer, index, effect, standard error, pairs, above_noise.

        `above_noise` is None where the noise floor was not measured.
        """
        import pandas

        mean, error = self.mean, self.standard_error
        floors = {kind: self.noise_floor(kind) for kind in {node.kind for node in self.nodes}}
        place = {node: i for i, node in enumerate(self.nodes)}
        rows = [
            {
                "node": str(node),
                "kind": node.kind,
                "layer": node.layer,
                "index": node.unit,
                "effect": float(mean[place[node]]),
                "standard_error": float(error[place[node]]),
                "pairs": len(self.effects),
                "above_noise": None if (floor := floors[node.kind]) is None else abs(float(mean[place[node]])) > floor,
            }
            for node in self.ranking()
        ]
        return pandas.DataFrame(rows)

    def plot(self) -> "Figure":
        """Mean effects by layer as a plotly figure, one colour a kind, with their standard errors."""
        table = self.to_pandas()
        series = {
            str(kind): Points(*(rows[name].tolist() for name in ("layer", "effect", "node", "standard_error")))
            for kind, rows in table.groupby("kind", sort=False)
        }
        return figure_of(series, title=f"{len(table)} nodes: {self.label}", x="layer", y=self.metric)

    def _repr_html_(self) -> str:
        """The ten strongest nodes, for a notebook."""
        title = f"{self.metric}, {self.label}, {len(self.effects)} pairs; the strongest of {len(self.nodes)} nodes"
        return html_of(title, self.to_pandas().head(_SHOWN))
