"""Adding vectors to activations while a model replies: steering at inference time."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor

from pinpoint.interventions._hooks import edited_inputs, edited_outputs
from pinpoint.models import HeadedModel


@dataclass(frozen=True)
class Steering:
    """Vectors to add, by layer.

    Attributes:
        residual: added to the residual stream as it leaves a block: contrastive activation addition (Rimsky 2024).
        heads: added to the heads' outputs z, side by side: inference-time intervention (Li et al. 2023).
    """

    residual: Mapping[int, Float[Tensor, " d_model"]] = field(default_factory=dict)
    heads: Mapping[int, Float[Tensor, " head*d_head"]] = field(default_factory=dict)


@contextmanager
def steer(view: HeadedModel, steering: Steering, reply: Bool[Tensor, "batch position"] | None = None) -> Iterator[None]:
    """Adds the vectors wherever the model is about to choose a token of its reply.

    Args:
        view: the model.
        steering: what to add.
        reply: positions whose next token belongs to the reply; None while generating from a left-padded batch, where
            it is the last position of every pass.
    """

    def added(x: Tensor, vector: Tensor) -> Tensor:
        x = x.clone()
        if reply is None:
            x[:, -1] += vector.to(x)
        else:
            x[reply] += vector.to(x)
        return x

    with ExitStack() as stack:
        out_projs = {layer: view.out_proj(layer) for layer in steering.heads}
        stack.enter_context(edited_inputs(out_projs, lambda layer, z: added(z, steering.heads[layer])))
        blocks = {layer: view.layers[layer] for layer in steering.residual}
        stack.enter_context(edited_outputs(blocks, lambda layer, x: added(x, steering.residual[layer])))
        yield
