"""Unembedding some positions of a batch alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Bool
from torch import Tensor, nn
from transformers import PreTrainedModel

from pinpoint.interventions._hooks import removing


@contextmanager
def only_at(model: PreTrainedModel, places: Bool[Tensor, "batch position"]) -> Iterator[None]:
    """The model's head is given these positions alone, one after another, as a batch of one row.

    Args:
        model: a causal language model.
        places: the positions, of the batch that the model runs on within the block. There may be none.
    """

    def picked(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        states = output.last_hidden_state  # [batch position d_model]
        output.last_hidden_state = states[places.to(states.device)].unsqueeze(0)
        return output

    with removing([model.base_model.register_forward_hook(picked)]):
        yield
