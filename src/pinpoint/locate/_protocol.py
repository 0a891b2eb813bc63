"""What every engine gets and gives."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel
from pinpoint.nodes import Node


class Effects(NamedTuple):
    """Effects of every node on every pair of a batch, and the metric on the unpatched references."""

    effects: Float[Tensor, "pair node"]
    reference: Float[Tensor, " pair"]


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
