"""Which experts a router sends tokens to, and by how little."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_NAMES = ("gate", "router")


class Choices(NamedTuple):
    """What a router chose for each token.

    Attributes:
        chosen: the experts.
        margin: by how much the last that is chosen leads the first that is not, relative to the largest logit of the
            token. Infinite where logits alone do not decide: all are chosen, or a bias or a limit by group has a say.
    """

    chosen: Bool[Tensor, "token expert"]
    margin: Float[Tensor, " token"]


def routers_of(block: nn.Module) -> dict[str, nn.Module]:
    """The routers of a block, by name: they stand beside the experts that they choose from."""
    return {
        f"{name}.{own}".lstrip("."): getattr(module, own)
        for name, module in block.named_modules()
        if hasattr(module, "experts")
        for own in _NAMES
        if isinstance(getattr(module, own, None), nn.Module)
    }


def choices(output: Any) -> Choices:
    """Reads what a router puts out: logits, weights and indices; or, as Llama 4's, scores of the chosen and logits."""
    index = next((part for part in output if not part.is_floating_point()), None)
    if index is None:
        scores, logits = output
        chosen = scores > 0
    else:
        logits = output[0]
        chosen = torch.zeros_like(logits, dtype=torch.bool).scatter(1, index, value=True)
    logits = logits.float()
    least = logits.masked_fill(~chosen, torch.inf).amin(dim=1)
    most = logits.masked_fill(chosen, -torch.inf).amax(dim=1)
    margin = (least - most) / logits.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
    return Choices(chosen, margin.masked_fill(margin < 0, torch.inf))
