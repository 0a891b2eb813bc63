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


def test_a_block_that_is_one_module_has_heads_or_an_mlp() -> None:
    view = headed(tiny("nemotron-h"))
    assert view.attention_layers == [0, 2]
    assert [list(view.mixers(layer)) for layer in range(5)] == [[], [], [], ["mixer"], []]
    assert [list(view.feed_forward(layer)) for layer in range(5)] == [
        *([], ["model.layers.1.mixer"], []),
        *([], ["model.layers.4.mixer"]),
    ]
    assert [node.layer for node in view.nodes(["mlps"])] == [1, 4]


def test_linear_attention_in_the_place_of_attention_has_no_heads() -> None:
    view = headed(tiny("minimax"))
    assert view.attention_layers == [1, 2]
    assert [list(view.mixers(layer)) for layer in range(3)] == [["self_attn"], [], []]
    assert list(view.feed_forward(0)) == ["model.layers.0.mlp"]


def test_the_context_of_a_wrapper_is_that_of_its_text() -> None:
    for family in ("llama-gqa", "gpt2", "gemma3-vision", "llama4-vision"):
        model = tiny(family)
        text = getattr(model.config, "text_config", model.config)
        text.max_position_embeddings = 11
        assert context_of(model) == 11
        with pytest.raises(InputError, match="a prompt has 14 tokens, the model reads 11"):
            pinpoint.locate(model, None, checks.pairs())


def test_a_group_stands_for_its_heads() -> None:
    view = headed(tiny("llama-gqa"))
    assert view.heads_of(["L1.H4", "L1.G1", "L0.G0"]) == [
        *(Head(1, 4), Head(1, 3), Head(1, 5)),
        *(Head(0, 0), Head(0, 1), Head(0, 2)),
    ]
    with pytest.raises(InputError, match=r"L1.G2 is not a group of this model. It has groups 0..1"):
        view.heads_of(["L1.G2"])
    with pytest.raises(InputError, match=r"L3.H0 is not a head of this model"):
        view.heads_of(["L3.G0"])
    with pytest.raises(InputError, match="'L3.MLP' is not a head"):
        view.heads_of(["L3.MLP"])
