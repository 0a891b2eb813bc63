"""What heads look at: against the weights that transformers hands out, and where prompts differ."""

import pytest
import torch
from transformers import PreTrainedTokenizerBase

import pinpoint
from pinpoint.data import assistant, encode_chat, user
from pinpoint.errors import InputError, OutOfMemory
from pinpoint.heads import Head
from pinpoint.measure import attention_shares, last_turn, looks
from pinpoint.measure._attention import differing
from pinpoint.models import headed
from tests.families import tiny
from tests.scarce import scarce


def test_only_what_sets_the_reference_apart_counts() -> None:
    assert differing([1, 2, 3, 4, 9], [1, 2, 7, 9]) == range(2, 4)
    assert differing([1, 2, 3], [1, 2, 3]) == range(3, 3)
    assert differing([5, 5, 9], [5, 9]) == range(1, 2)


@pytest.mark.parametrize(
    ("family", "own"), [("llama-gqa", "sdpa"), ("llama-gqa", "eager"), ("falcon-7b", "sdpa"), ("gemma3", "sdpa")]
)
def test_shares_are_sums_of_attention_weights_and_the_implementation_comes_back(family: str, own: str) -> None:
    model = tiny(family)
    model.set_attn_implementation(own)
    pairs = [
        pinpoint.ContrastPair([1, 2, 3, 4, 5, 6], [1, 2, 9, 5, 6], 7, 8),
        pinpoint.ContrastPair([1, 2, 3, 6], [1, 4, 6], 7, 8),
    ]
    heads = [Head(0, 1), Head(2, 3)]
    shares = attention_shares(headed(model), None, pairs, heads)
    assert model.config._attn_implementation == own
    eager = tiny(family)
    eager.set_attn_implementation("eager")
    for row, (pair, span) in enumerate(zip(pairs, (slice(2, 4), slice(1, 3)), strict=True)):
        weights = eager(torch.tensor([pair.reference]), output_attentions=True).attentions
        for column, (layer, head) in enumerate(heads):
            expected = weights[layer][0, head, -1, span].sum()
            assert torch.allclose(shares[row, column], expected, atol=1e-5)
    given = attention_shares(headed(model), None, pairs, heads, [range(0, 2), range(3, 4)])
    first = eager(torch.tensor([pairs[0].reference]), output_attentions=True).attentions[0][0, 1, -1, :2]
    assert torch.allclose(given[0, 0], first.sum(), atol=1e-5)
    assert not torch.allclose(given, shares, atol=1e-3)


@pytest.mark.parametrize("family", ["llama-gqa", "gpt2", "bloom", "falcon-7b", "jamba", "qwen3-moe"])
def test_where_every_head_looks_is_what_each_pair_gives_alone(family: str) -> None:
    view = headed(tiny(family))
    pairs = [
        pinpoint.ContrastPair([1, 2, 3, 4, 5, 6], [1, 2, 9, 5, 6], 7, 8),
        pinpoint.ContrastPair([1, 2, 3, 6], [1, 4, 6], 7, 8),
    ]
    found = looks(view, None, pairs)
    assert found.weights.shape == (view.n_layers, view.n_heads, 6) and found.apart == range(2, 4)
    assert found.ids == pairs[0].reference
    alone = [looks(view, None, [pair]) for pair in pairs]
    for layer, head in view.heads():
        assert float(found.weights[layer, head].sum()) == pytest.approx(1, abs=1e-4)
        shares = [float(one.shares[layer, head]) for one in alone]
        assert float(found.shares[layer, head]) == pytest.approx(sum(shares) / 2, abs=1e-4)
        assert shares[0] == pytest.approx(float(found.weights[layer, head, 2:4].sum()), abs=1e-4)
    given = looks(view, None, pairs[:1], [range(0, 2)])
    assert given.apart == range(0, 2)
    for layer in view.attention_layers:
        assert torch.allclose(given.shares[layer], found.weights[layer, :, :2].sum(dim=-1), atol=1e-4)
    bare = set(range(view.n_layers)) - set(view.attention_layers)
    assert all(bool(found.shares[layer].isnan().all()) for layer in bare)


def test_a_model_that_hands_out_no_weights_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama-gqa")
    forward = model.model.forward
    monkeypatch.setattr(model.model, "forward", lambda **given: forward(**(given | {"output_attentions": False})))
    with pytest.raises(InputError, match="hands out no attention weights"):
        looks(headed(model), None, [pinpoint.ContrastPair([1, 2], [1, 3], 7, 8)])


def test_weights_that_do_not_fit_the_memory_are_told() -> None:
    model = tiny("llama-gqa")
    with scarce(model.get_input_embeddings(), 0), pytest.raises(OutOfMemory, match="ran out reading attention weights"):
        looks(headed(model), None, [pinpoint.ContrastPair([1, 2], [1, 3], 7, 8)])
    with scarce(model.get_input_embeddings(), 0), pytest.raises(OutOfMemory, match="ran out reading attention weights"):
        attention_shares(headed(model), None, [pinpoint.ContrastPair([1, 2], [1, 3], 7, 8)], [Head(0, 0)])


def test_the_last_message_is_found_in_the_rendered_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    talk = [user("What is the capital of Australia?"), assistant("Canberra."), user("Are you sure?")]
    span = last_turn(tokenizer, pinpoint.ContrastPair(talk, talk, "Sorry", "Yes"))
    ids = encode_chat(tokenizer, talk)
    assert tokenizer.decode(ids[span.start : span.stop]).strip() == "Are you sure?"
