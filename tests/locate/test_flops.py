"""What the sweep costs, counted: a guard against encoding the shared beginning twice or running attention for rows."""

import dataclasses
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

import pinpoint
from pinpoint.models import headed
from pinpoint.models._llama import LLAMA
from pinpoint.models._spec import HeadedModel

SHAPES = [
    # layers, heads, key/value heads, d_head, MLP width, pairs, shared tokens, tokens after them
    (4, 4, 2, 16, 160, 3, 48, 8),
    (6, 8, 8, 8, 128, 5, 20, 20),
    (2, 6, 1, 16, 256, 1, 120, 4),
    (8, 4, 4, 16, 192, 4, 8, 40),
]


def counted(shape: tuple[int, ...], rows_per_chunk: int = 1 << 20) -> int:
    """Floating-point operations of a sweep, by torch's own counter."""
    layers, heads, groups, width, inner, pairs, shared, after = shape
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=heads * width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=width,
        attn_implementation="eager",  # the counter does not see into fused attention on a CPU
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(0)
    some = []
    for _ in range(pairs):
        ids = torch.randint(1, 64, (shared + 2 * after,), generator=generator).tolist()
        # The first token after the shared ones differs, so that exactly that many are shared.
        start, a, b = ids[:shared], [1, *ids[shared + 1 : shared + after]], [2, *ids[shared + after + 1 :]]
        some.append(pinpoint.ContrastPair(start + a, start + b, 5, 7))
    with FlopCounterMode(display=False) as counter:
        pinpoint.locate(model, None, some, rows_per_chunk=rows_per_chunk)
    return counter.get_total_flops()


def expected(shape: tuple[int, ...]) -> int:
    """Shared tokens once, two ends, the rows of every head through the MLPs above it, and their logits."""
    layers, heads, groups, width, inner, pairs, shared, after = shape
    d_model = heads * width
    projections = 2 * d_model * (2 * heads * width + 2 * groups * width)
    mlp = 2 * 3 * d_model * inner
    tokens = pairs * (shared + 2 * after)
    looked_at = pairs * (shared * shared + 2 * after * (shared + after))
    attention = 2 * 2 * heads * width * looked_at
    rows = sum(pairs * (1 + heads * (layer + 1)) for layer in range(layers))
    swapped = layers * pairs * (1 + heads) * 2 * heads * width * d_model
    logits = pairs * (1 + heads * layers) * 2 * d_model * 64
    return layers * (tokens * (projections + mlp) + attention) + rows * mlp + swapped + logits


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sweep_costs_what_the_formula_says(shape: tuple[int, ...]) -> None:
    assert counted(shape) == pytest.approx(expected(shape), rel=0.05)


def test_the_formula_tells_a_sweep_that_encodes_the_beginning_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = dataclasses.replace(LLAMA, shares_prefix=False)
    monkeypatch.setattr(
        sys.modules["pinpoint.locate._locate"], "headed", lambda model: HeadedModel(headed(model).model, twice)
    )
    assert counted(SHAPES[0]) > 1.2 * expected(SHAPES[0])


def test_more_chunks_cost_one_more_row_each() -> None:
    assert counted(SHAPES[1], rows_per_chunk=40) == pytest.approx(expected(SHAPES[1]), rel=0.05)
