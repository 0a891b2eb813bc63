"""The view of a model: its heads, and what it says of heads that it does not have."""

import pytest

from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.models import headed
from tests.families import tiny


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
