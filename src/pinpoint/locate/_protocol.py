"""What every engine gets and gives."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node


class Effects(NamedTuple):
    """Effects of every node on every pair of a batch, and the metric on the unpatched references.

    Attributes:
        effects: of every node.
        reference: the metric.
        routing: choices of experts that were held to the model's own, those that came out otherwise, and near ties;
            None of what does not look.
    """

    effects: Float[Tensor, "pair node"]
    reference: Float[Tensor, " pair"]
    routing: Int[Tensor, "pair 3"] | None = None

    @classmethod
    def joined(cls, parts: "Sequence[Effects]") -> "Effects":
        """The effects of all parts, pair after pair."""
        whole = [part.whole() for part in parts]
        return cls(*(torch.cat(tensors) for tensors in zip(*whole, strict=True)))

    def whole(self) -> tuple[Tensor, Tensor, Tensor]:
        """All three; what was not looked at counts 0."""
        counts = torch.zeros(len(self.reference), 3, dtype=torch.long)
        return self.effects, self.reference, counts if self.routing is None else self.routing


class Engine(Protocol):
    """Computes the direct effect of nodes on what the model predicts at the measured positions.

    Both engines give the same numbers; they differ in what they cost.
    """

    def __call__(
        self,
        view: HeadedModel,
        pairs: list[EncodedPair],
        batch: Batch,
        metric: Metric,
        rows_per_chunk: int,
        given: HeadSet,
        nodes: Sequence[Node],
    ) -> Effects:
        """Scores nodes on a batch of pairs.

        Args:
            view: the model.
            pairs: the pairs.
            batch: what `forced` makes of them, all references first, then all counterfactuals in the same order.
            metric: what to measure on the logits.
            rows_per_chunk: how many patched rows run through a block at once, at the most.
            given: heads that are patched in every row, the reference's own included: effects are beyond theirs.
            nodes: what is patched, each alone: heads, groups of heads, attention layers, MLPs.
        """
        ...
