"""Ordinary LoRA for comparison: what it may touch, and that a slice's LoRA stays within its slice."""

import copy

import pytest
import torch
from peft.tuners.lora import LoraLayer

from pinpoint.models import headed
from pinpoint.tune import attach, attach_head_lora, attach_lora, head_slices
from tests.families import tiny
from tests.tune.test_slices import HEADS, IDS, selected, train


@pytest.mark.parametrize("projections", ["q,o", "q,k,v,o"])
def test_lora_on_heads_changes_their_slices_only_and_at_its_rank(projections: str) -> None:
    base = tiny("llama-gqa")
    view = headed(copy.deepcopy(base))
    live = attach_head_lora(view, head_slices(view, HEADS, projections), rank=2)
    assert torch.equal(live(IDS).logits, base(IDS).logits)
    train(live)
    merged = live.merge_and_unload().state_dict()
    changed = 0
    for name, before in base.state_dict().items():
        inside = selected(base, name, HEADS, projections)
        assert torch.equal(merged[name][~inside], before[~inside]), name
        if inside.any():
            changed += 1
            assert torch.linalg.matrix_rank(merged[name] - before) == 2, name
    assert changed == 2 * len(projections.split(","))


def test_lora_everywhere_touches_every_projection_and_nothing_else() -> None:
    base = tiny("qwen3")
    live = attach_lora(headed(copy.deepcopy(base)), rank=2)
    train(live)
    merged = live.merge_and_unload().state_dict()
    touched = {name for name, before in base.state_dict().items() if not torch.equal(merged[name], before)}
    assert touched == {name for name in base.state_dict() if name.endswith(("q_proj.weight", "k_proj.weight"))} | {
        name for name in base.state_dict() if name.endswith(("v_proj.weight", "o_proj.weight"))
    }


def test_lora_everywhere_goes_onto_one_shared_key_too() -> None:
    base = tiny("falcon-7b")
    live = attach_lora(headed(copy.deepcopy(base)), rank=2)
    train(live)
    merged = live.merge_and_unload().state_dict()
    touched = {name for name, before in base.state_dict().items() if not torch.equal(merged[name], before)}
    names = ("query_key_value.weight", "self_attention.dense.weight")
    assert touched == {name for name in base.state_dict() if name.endswith(names)} != set()


def test_an_mlp_can_train_as_a_whole_beside_the_slices() -> None:
    base = tiny("llama-gqa")
    view = headed(copy.deepcopy(base))
    [mlp] = view.feed_forward(1)
    live = attach(view, head_slices(view, HEADS, "q,o"), [mlp])
    train(live)
    merged = live.merge_and_unload().state_dict()
    for name, before in base.state_dict().items():
        inside = selected(base, name, HEADS, "q,o")
        whole = name.startswith(mlp)
        assert torch.equal(merged[name], before) != (whole or bool(inside.any())), name


def test_lora_has_scaling_one_and_no_dropout() -> None:
    view = headed(tiny("llama-gqa"))
    for live in (
        attach_lora(view, rank=3),
        attach_head_lora(headed(tiny("llama-gqa")), head_slices(view, HEADS, "q"), 3),
    ):
        config = live.peft_config["default"]
        assert (config.r, config.lora_alpha, config.lora_dropout, config.bias) == (3, 3, 0.0, "none")
        assert config.task_type == "CAUSAL_LM"
        assert {layer.scaling["default"] for layer in live.modules() if isinstance(layer, LoraLayer)} == {1.0}


def test_what_lies_outside_the_slice_gets_no_gradient() -> None:
    view = headed(tiny("llama-gqa"))
    slices = head_slices(view, HEADS, "q,o")
    live = attach_head_lora(view, slices, rank=2)
    first = [layer.lora_A["default"].weight for layer in live.modules() if isinstance(layer, LoraLayer)]
    assert max(float(weight.abs().max()) for weight in first) <= 48**-0.5, "LoRA's own first values, not scaled"
    train(live, steps=1)  # the other factor starts at 0, and until it moves this one has no gradient at all
    live(input_ids=IDS, labels=IDS).loss.backward()
    for piece in slices:
        layer = live.get_submodule(f"base_model.model.{piece.module}")
        weight = layer.lora_B["default"].weight if piece.axis == 0 else layer.lora_A["default"].weight.T
        gradient = layer.lora_B["default"].weight.grad if piece.axis == 0 else layer.lora_A["default"].weight.grad.T
        outside = torch.ones(len(weight), dtype=torch.bool)
        outside[list(piece.indices)] = False
        assert not bool(weight[outside].any()) and not bool(gradient[outside].any())
        assert bool(weight[~outside].any()) and bool(gradient[~outside].any())
