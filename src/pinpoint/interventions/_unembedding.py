"""Unembedding some positions of a batch alone, or again without the blocks before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Bool
from torch import Tensor, nn
from transformers import PreTrainedModel

from pinpoint.interventions._hooks import removing
from pinpoint.interventions._supply import supplied


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


@contextmanager
def backbone_once(model: PreTrainedModel, known: list[Any]) -> Iterator[None]:
    """Keeps what the model's backbone puts out in the block; where there is something already, skips the backbone.

    Args:
        model: a causal language model.
        known: takes the output, and gives it to a later block of the same batch, in which `only_at` is the same.
    """
    if known:
        with supplied(model, model.base_model_prefix, lambda *_args, **_kwargs: known[0]):
            yield
        return
    with removing([model.base_model.register_forward_hook(lambda _module, _args, output: known.append(output))]):
        yield
