"""A model in half precision: rows carry their residual stream in float32, and nothing else is wider."""

import copy
import sys
from typing import Any

import pytest
import torch

import pinpoint
from tests.families import tiny
from tests.locate.test_engines import pairs

SOME = pairs(1)
LAYOUTS = ("llama-gqa", "gpt2", "gpt-neox", "falcon-7b", "gptj", "bloom", "starcoder2", "cohere", "olmo2")


def off(found: pinpoint.HeadScores, exact: pinpoint.HeadScores) -> float:
    return float((found.effects - exact.effects).abs().mean())


@pytest.mark.parametrize("metric", ["logit_diff", "logprob_diff"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_is_far_less_than_that_of_a_pass_per_head(dtype: torch.dtype, metric: Any) -> None:
    ours, brute = 0.0, 0.0
    for family in LAYOUTS:
        model = tiny(family).to(dtype)
        exact = pinpoint.locate(copy.deepcopy(model).float(), None, SOME, metric=metric)
        ours += off(pinpoint.locate(model, None, SOME, metric=metric), exact)
        brute += off(pinpoint.locate(model, None, SOME, metric=metric, engine="naive"), exact)
    assert brute > 0 and ours < 0.75 * brute


@pytest.mark.parametrize("how", [{"metric": "logprob_diff"}, {"rows_per_chunk": 7}, {"given": [pinpoint.Head(1, 0)]}])
@pytest.mark.parametrize("family", ["llama-gqa", "gpt2", "mixtral"])
def test_every_way_of_asking_runs_and_stays_near(family: str, how: dict[str, Any]) -> None:
    model = tiny(family).to(torch.bfloat16)
    exact = pinpoint.locate(copy.deepcopy(model).float(), None, SOME, **how)
    found = pinpoint.locate(model, None, SOME, **how)
    assert (found.effects - exact.effects).abs().max() < 0.1 * exact.effects.abs().max()


def test_experts_are_chosen_as_in_the_model_s_own_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("deepseek-v3").to(torch.bfloat16)
    found = pinpoint.locate(model, None, SOME)
    assert found.routing is not None and found.routing.others == 0
    monkeypatch.setattr(sys.modules["pinpoint.locate._sweep"], "NARROW", ())
    assert torch.equal(pinpoint.locate(model, None, SOME).effects, found.effects)
    dense = tiny("llama-gqa").to(torch.bfloat16)
    rounded = pinpoint.locate(dense, None, SOME).effects
    monkeypatch.undo()
    assert not torch.equal(pinpoint.locate(dense, None, SOME).effects, rounded)


def test_matrices_compute_in_their_own_dtype_and_the_model_is_left_as_it_was() -> None:
    model = tiny("llama-gqa").to(torch.bfloat16)
    seen = set()
    handles = [
        module.register_forward_pre_hook(lambda _module, args: seen.add(args[0].dtype))
        for block in model.model.layers
        for module in (block.mlp.gate_proj, block.mlp.down_proj)
    ]
    before = {name: id(tensor) for name, tensor in model.named_parameters()}
    pinpoint.locate(model, None, SOME)
    for handle in handles:
        handle.remove()
    assert seen == {torch.bfloat16}
    assert {name: id(tensor) for name, tensor in model.named_parameters()} == before
    assert not any("forward" in module.__dict__ for module in model.modules())
