"""What heads look at: against the weights that transformers hands out, and where prompts differ."""

import torch

import pinpoint
from pinpoint.heads import Head
from pinpoint.measure import attention_shares
from pinpoint.measure._attention import differing
from pinpoint.models import headed
from tests.families import tiny


def test_only_what_sets_the_reference_apart_counts() -> None:
    assert differing([1, 2, 3, 4, 9], [1, 2, 7, 9]) == range(2, 4)
    assert differing([1, 2, 3], [1, 2, 3]) == range(3, 3)
    assert differing([5, 5, 9], [5, 9]) == range(1, 2)


def test_shares_are_sums_of_attention_weights_and_the_implementation_comes_back() -> None:
    model = tiny("llama-gqa")
    own = model.config._attn_implementation
    pairs = [
        pinpoint.ContrastPair([1, 2, 3, 4, 5, 6], [1, 2, 9, 5, 6], 7, 8),
        pinpoint.ContrastPair([1, 2, 3, 6], [1, 4, 6], 7, 8),
    ]
    heads = [Head(0, 1), Head(2, 3)]
    shares = attention_shares(headed(model), None, pairs, heads, batch_size=2)
    assert model.config._attn_implementation == own
    eager = tiny("llama-gqa")
    eager.set_attn_implementation("eager")
    for row, (pair, span) in enumerate(zip(pairs, (slice(2, 4), slice(1, 3)), strict=True)):
        weights = eager(torch.tensor([pair.reference]), output_attentions=True).attentions
        for column, (layer, head) in enumerate(heads):
            expected = weights[layer][0, head, -1, span].sum()
            assert torch.allclose(shares[row, column], expected, atol=1e-5)
