"""The view of a model: its heads, and what it says of heads that it does not have."""

import pytest

import pinpoint
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.models import context_of, headed
from tests.families import tiny
from tests.models import checks


def test_heads_outside_the_model_are_named() -> None:
    view = headed(tiny("llama-gqa"))
    view.check([Head(0, 1), Head(2, 5)])
    with pytest.raises(InputError, match=r"L3.H0 is not a head of this model. It has layers 0..2 with heads 0..5"):
        view.check([Head(0, 1), Head(3, 0)])


def test_a_hybrid_has_heads_in_its_attention_layers_alone() -> None:
    view = headed(tiny("lfm2"))
    assert view.attention_layers == [1, 2]
    assert list(view.heads()) == [Head(layer, head) for layer in (1, 2) for head in range(6)]
    with pytest.raises(InputError, match=r"L0.H1 is not a head of this model. It has layers 1, 2 with heads 0..5"):
        view.check([Head(0, 1)])


def test_the_context_of_a_wrapper_is_that_of_its_text() -> None:
    for family in ("llama-gqa", "gpt2", "gemma3-vision", "llama4-vision"):
        model = tiny(family)
        text = getattr(model.config, "text_config", model.config)
        text.max_position_embeddings = 11
        assert context_of(model) == 11
        with pytest.raises(InputError, match="a prompt has 14 tokens, the model reads 11"):
            pinpoint.locate(model, None, checks.pairs())
