"""Steering: what is added, where, and that nothing stays behind."""

import pytest
import torch

from pinpoint.interventions import Steering, seen_outputs, steer
from pinpoint.models import headed
from tests.families import tiny

IDS = torch.randint(1, 97, (3, 8), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", ["llama-gqa", "gpt2", "bloom", "gemma2", "mixtral"])
def test_a_vector_on_the_residual_moves_it_at_the_reply_and_nowhere_else(family: str) -> None:
    model = tiny(family)
    view = headed(model)
    vector = torch.linspace(-1, 1, view.config.hidden_size)
    reply = torch.zeros_like(IDS, dtype=torch.bool)
    reply[:, 5:] = True
    blocks = dict(enumerate(view.layers))
    with torch.no_grad():
        with seen_outputs(blocks) as plain:
            model(IDS)
        with steer(view, Steering(residual={1: vector}), reply), seen_outputs(blocks) as moved:
            model(IDS)
        assert torch.allclose(moved[1] - plain[1], reply[..., None] * vector, atol=1e-5)
        assert torch.allclose(moved[2][:, :5], plain[2][:, :5], atol=1e-5)
        assert not torch.allclose(moved[2][:, 5:], plain[2][:, 5:])
        with seen_outputs(blocks) as after:
            model(IDS)
    assert all(torch.equal(plain[layer], after[layer]) for layer in blocks)


def test_while_generating_it_is_the_last_position_that_is_steered() -> None:
    model = tiny("llama-gqa")
    view = headed(model)
    vectors = {0: torch.ones(view.n_heads * view.head_dim)}
    reply = torch.zeros_like(IDS, dtype=torch.bool)
    reply[:, -1] = True
    with torch.no_grad():
        with steer(view, Steering(heads=vectors)):
            last = model(IDS).logits
        with steer(view, Steering(heads=vectors), reply):
            assert torch.equal(model(IDS).logits, last)
        assert not torch.allclose(model(IDS).logits[:, -1], last[:, -1])
        assert torch.equal(model(IDS).logits[:, :-1], last[:, :-1])
