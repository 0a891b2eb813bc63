"""What every engine gets and gives."""

from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor

from pinpoint.data import Batch, EncodedPair
from pinpoint.heads import HeadSet
from pinpoint.measure import Metric
from pinpoint.models import HeadedModel


class Effects(NamedTuple):
    """Effects of every head on every pair of a batch, and the metric on the unpatched references."""

    effects: Float[Tensor, "pair layer head"]
    reference: Float[Tensor, " pair"]


class Engine(Protocol):
    """Computes the direct effect of every head on the logits of the next token.

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
    ) -> Effects:
        """Scores all heads on a batch of pairs.

        Args:
            view: the model.
            pairs: the pairs, for their answers.
            batch: their prompts, all references first, then all counterfactuals in the same order.
            metric: what to measure on the logits.
            rows_per_chunk: how many patched rows run through a block at once, at the most.
            given: heads that are patched in every row, the reference's own included: effects are beyond theirs.
        """
        ...
