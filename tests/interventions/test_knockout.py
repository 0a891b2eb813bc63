"""Knockout algebra: nothing out is the base, a head's own value is the base, zero is a zeroed column."""

import copy

import pytest
import torch

from pinpoint.errors import ArchitectureError, InputError
from pinpoint.heads import Head
from pinpoint.interventions import captured_heads, knockout, resample
from pinpoint.models import headed
from tests.families import PLAIN, tiny

IDS = torch.randint(1, 97, (3, 8), generator=torch.Generator().manual_seed(1))


def values(model: object, fill: float = 0.0) -> torch.Tensor:
    view = headed(model)
    return torch.full((view.n_layers, view.n_heads, view.head_dim), fill)


@pytest.mark.parametrize("family", PLAIN)
def test_zero_knockout_is_zeroing_the_heads_columns_of_the_out_projection(family: str) -> None:
    model = tiny(family)
    view = headed(model)
    heads = [Head(0, 1), Head(2, 5)]
    cut = copy.deepcopy(model)
    for layer, head in heads:
        width = view.head_dim
        cut.model.layers[layer].self_attn.o_proj.weight.data[:, head * width : (head + 1) * width] = 0
    with knockout(view, heads, values(model)):
        knocked = model(IDS).logits
    assert torch.allclose(knocked, cut(IDS).logits, atol=1e-5)
    assert not torch.allclose(knocked, model(IDS).logits, atol=1e-3)


def test_knocking_out_nothing_is_the_base_and_hooks_are_gone_after_an_error() -> None:
    model = tiny("llama-gqa")
    plain = model(IDS).logits
    with knockout(headed(model), [], values(model)):
        assert torch.equal(model(IDS).logits, plain)
    with pytest.raises(ZeroDivisionError), knockout(headed(model), [Head(1, 1)], values(model, 9.0)):
        _ = 1 / 0
    assert torch.equal(model(IDS).logits, plain)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_knockout_holds_at_generated_positions() -> None:
    model = tiny("llama-gqa")
    seen = []
    with knockout(headed(model), [Head(1, 2)], values(model, 7.0)):
        handle = model.model.layers[1].self_attn.o_proj.register_forward_pre_hook(
            lambda _module, args: seen.append(args[0][..., 16:24])
        )
        model.generate(IDS, max_new_tokens=3, do_sample=False)
        handle.remove()
    assert len(seen) == 3
    assert all(torch.equal(z, torch.full_like(z, 7.0)) for z in seen)


def test_resampling_a_prompt_from_itself_is_the_base() -> None:
    model = tiny("llama-gqa")
    view = headed(model)
    plain = model(IDS).logits
    with captured_heads(view) as source:
        view.backbone(IDS)
    with resample(view, [Head(1, 2), Head(2, 0)], source, torch.ones_like(IDS, dtype=torch.bool)):
        assert torch.equal(model(IDS).logits, plain)
    other = torch.randint(1, 97, (3, 6))
    with captured_heads(view) as source:
        view.backbone(other)
    positions = torch.ones_like(IDS, dtype=torch.bool)
    positions[:, :2] = False
    with resample(view, [Head(1, 2)], source, positions):
        changed = model(IDS).logits
    assert torch.equal(changed[:, :2], plain[:, :2])
    assert not torch.allclose(changed[:, 2:], plain[:, 2:], atol=1e-4)


def test_heads_outside_the_model_are_refused_before_anything_is_hooked() -> None:
    model = tiny("llama-gqa")
    view, everywhere = headed(model), torch.ones_like(IDS, dtype=torch.bool)
    with captured_heads(view) as source:
        view.backbone(IDS)
    for head in (Head(9, 0), Head(1, 6), Head(1, -1)):
        asked = [Head(0, 0), head]
        for intervention in (knockout(view, asked, values(model)), resample(view, asked, source, everywhere)):
            with pytest.raises(InputError, match=f"{head} is not a head"), intervention:
                pass
            assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_a_block_that_does_without_its_out_projection_is_told_and_no_flat_curve_is_drawn() -> None:
    model = tiny("llama-gqa")
    view = headed(model)
    with captured_heads(view) as source:
        view.backbone(IDS)
    attention = model.model.layers[1].self_attn
    attention.forward = lambda hidden_states, **_: (torch.zeros_like(hidden_states), None)
    told = r"layers 1: the model ran and did not call the out projection .*nothing was knocked out there\. Its layout"
    heads, everywhere = [Head(1, 2), Head(2, 0)], torch.ones_like(IDS, dtype=torch.bool)
    with pytest.raises(ArchitectureError, match=told), knockout(view, heads, values(model)):
        model(IDS)
    with pytest.raises(ArchitectureError, match=told), resample(view, heads, source, everywhere):
        model(IDS)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    with knockout(view, heads, values(model)):
        pass  # no forward pass, nothing to tell
    with knockout(view, [Head(2, 0)], values(model)):
        model(IDS)
