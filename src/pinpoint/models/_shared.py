"""Two models of one layout that hold what is equal in both once."""

import torch
from transformers import PreTrainedModel


def sharing_weights(model: PreTrainedModel, base: PreTrainedModel) -> PreTrainedModel:
    """Moves a model to where another lies, and has it use that one's weights where its own are the same.

    Both go on as they were, as long as neither changes a weight in place.

    Args:
        model: a model in the host's memory.
        base: one whose parameters have the same names, on one device.

    Returns:
        `model`.
    """
    theirs = dict(base.named_parameters())
    for name, own in model.named_parameters():
        there, moved = theirs.get(name), own.data.to(base.device)
        if there is not None and there.dtype == moved.dtype and torch.equal(there, moved):
            moved = there.data
        own.data = moved
    model.to(base.device)  # type: ignore[arg-type]  # buffers
    return model
