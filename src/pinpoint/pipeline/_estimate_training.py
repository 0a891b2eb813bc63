"""Operations and memory of training: of chosen heads, and of every weight."""

import torch

from pinpoint.models import HeadedModel
from pinpoint.pipeline._estimate import REPLY, Cost, Workload, shape_of, weights_held

_TILE = 32768  # tokens that TRL unembeds to at once


def tune_cost(view: HeadedModel, dtype: torch.dtype, work: Workload) -> Cost:
    """Pinpoint tuning with heads down to the first layer: the most that it can take."""
    kept, logits = _activations(view, dtype.itemsize, work)
    # Weight, gradient and two moments of what trains, and the frozen one-hot factors, all in float32.
    layered = weights_held(view, dtype.itemsize, work, _tokens(work)) + work.trained * 4 * 5 + kept
    # Unembedded, once more for the gradient, and back.
    return Cost(int(layered + logits), _flops(view, work, passes=3 if work.fetched else 2), int(layered))


def full_cost(view: HeadedModel, dtype: torch.dtype, work: Workload) -> Cost:
    """Full fine-tuning, of a copy in float32 beside the base."""
    size = torch.float32.itemsize
    kept, logits = _activations(view, size, work)
    parameters = sum(parameter.numel() for parameter in view.model.parameters())
    layered = weights_held(view, dtype.itemsize, work, _tokens(work)) + parameters * size * 4 + kept
    # A backward pass to the weights and to the activations takes as much as two forward ones.
    return Cost(int(layered + logits), _flops(view, work, passes=3), int(layered))


def _tokens(work: Workload) -> int:
    """Tokens of a step."""
    return work.train_batch * (work.tokens + work.explained)


def _scored(work: Workload) -> int:
    """Those of them that take loss."""
    return work.train_batch * round(REPLY * work.tokens + work.explained)


def _activations(view: HeadedModel, size: int, work: Workload) -> tuple[int, int]:
    """Bytes of what a step keeps of each layer, and of its logits."""
    shape = shape_of(view)
    block = 6 * shape.width + 6 * shape.inner + 3 * shape.heads_width
    # Where blocks are fetched, a block's activations are computed again from what entered it.
    kept = view.n_layers * shape.width + block if work.fetched else view.n_layers * block
    # Replies alone are unembedded, a part of the vocabulary at a time; the loss and its gradient take float32 copies.
    logits = _scored(work) * min(shape.vocabulary, _TILE) * (size + 28)
    return _tokens(work) * kept * size, logits


def _flops(view: HeadedModel, work: Workload, passes: int) -> float:
    shape = shape_of(view)
    blocks = view.n_layers * (shape.attention + shape.mlp)
    return work.steps * 2 * (_tokens(work) * passes * blocks + _scored(work) * 3 * shape.width * shape.vocabulary)
