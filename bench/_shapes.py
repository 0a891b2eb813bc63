"""Models and prompts of stated shapes, and the operations that locating all heads of one takes."""

from typing import NamedTuple

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pinpoint

BATCH = 32  # pairs in a pass of the sweep, `pinpoint.locate`'s own default


class Shape(NamedTuple):
    """A Llama-style model and the pairs it is run on.

    Attributes:
        layers: blocks.
        heads: query heads of a block.
        groups: key/value heads of a block.
        d_head: width of a head; the model is `heads * d_head` wide.
        inner: width of the gated MLP.
        vocabulary: tokens.
        pairs: contrast pairs.
        shared: tokens that both prompts of a pair begin with alike.
        after: tokens of either prompt after those.
    """

    layers: int
    heads: int
    groups: int
    d_head: int
    inner: int
    vocabulary: int
    pairs: int
    shared: int
    after: int

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.heads * self.d_head

    @property
    def tokens(self) -> int:
        """Length of a prompt."""
        return self.shared + self.after


def make_model(
    shape: Shape, attention: str = "sdpa", dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> LlamaForCausalLM:
    """Random weights, the same for every caller on a device; made there."""
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.d_model,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.groups,
        head_dim=shape.d_head,
        max_position_embeddings=4096,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def make_pairs(shape: Shape) -> list[pinpoint.ContrastPair]:
    """Random prompts; the first token after the shared ones differs, so that exactly those are shared."""
    generator = torch.Generator().manual_seed(0)
    some = []
    for _ in range(shape.pairs):
        ids = torch.randint(3, shape.vocabulary, (shape.shared + 2 * shape.after,), generator=generator).tolist()
        start, end = ids[: shape.shared], ids[shape.shared :]
        first, second = [1, *end[1 : shape.after]], [2, *end[shape.after + 1 :]]
        some.append(pinpoint.ContrastPair(start + first, start + second, 5, 7))
    return some


def _per_token(shape: Shape) -> tuple[int, int]:
    projections = 2 * shape.d_model * (2 * shape.heads + 2 * shape.groups) * shape.d_head
    return projections, 2 * 3 * shape.d_model * shape.inner


def sweep_flops(shape: Shape) -> int:
    """Shared tokens once, two ends, the rows of every head through the MLPs above it, and their answers' logits."""
    projections, mlp = _per_token(shape)
    tokens = shape.pairs * (shape.shared + 2 * shape.after)
    looked_at = shape.pairs * (shape.shared**2 + 2 * shape.after * shape.tokens)
    attention = 2 * 2 * shape.d_model * looked_at
    rows = sum(shape.pairs * (1 + shape.heads * (layer + 1)) for layer in range(shape.layers))
    swapped = shape.layers * shape.pairs * (1 + shape.heads) * 2 * shape.d_model**2
    answers = 2  # of `make_pairs`: one unwanted token, one wanted, the same for all pairs
    logits = shape.pairs * (1 + shape.heads * shape.layers) * 2 * shape.d_model * answers
    return shape.layers * (tokens * (projections + mlp) + attention) + rows * mlp + swapped + logits


def sweep_bytes(shape: Shape, size: int = 4) -> int:
    """What must come from memory and go there: nothing twice that one pass over a batch can use twice.

    Every block's weights once a batch; the residual stream of every token and row into each block and out of it; the
    keys and values of every token out once, and those of the shared tokens in again for either end.

    Args:
        shape: model and pairs.
        size: bytes of a number.
    """
    weights = shape.d_model * (2 * shape.heads + 2 * shape.groups) * shape.d_head + 3 * shape.d_model * shape.inner
    tokens = shape.pairs * (shape.shared + 2 * shape.after)
    rows = sum(shape.pairs * (1 + shape.heads * (layer + 1)) for layer in range(shape.layers))
    kept = 2 * shape.groups * shape.d_head * (tokens + 2 * shape.pairs * shape.shared)
    batches = -(-shape.pairs // BATCH)
    numbers = shape.layers * (batches * weights + 2 * tokens * shape.d_model + kept) + 2 * rows * shape.d_model
    return size * numbers


def forward_flops(shape: Shape, prompts: int = 1) -> int:
    """A plain forward pass of all pairs, with the logits of the last position alone."""
    projections, mlp = _per_token(shape)
    tokens = shape.pairs * shape.tokens
    attention = 2 * 2 * shape.d_model * tokens * shape.tokens
    logits = shape.pairs * 2 * shape.d_model * shape.vocabulary
    return prompts * (shape.layers * (tokens * (projections + mlp) + attention) + logits)
