"""The noise floor: what rounding does to scores, against the same weights in a wider dtype."""

import copy
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

import pinpoint
from pinpoint.errors import ConfigError, PinpointWarning
from pinpoint.heads import Head
from pinpoint.locate import _rounding
from tests.families import FAMILIES, PLAIN, tiny
from tests.locate.test_engines import pairs

SOME = pairs(1)


def narrow(family: str, dtype: torch.dtype = torch.bfloat16) -> PreTrainedModel:
    return tiny(family).to(dtype)


def off(model: PreTrainedModel, wide: PreTrainedModel, **how: Any) -> torch.Tensor:
    """By how much each mean score is off, with a whole copy of the model in the wider dtype."""
    ours, exact = (pinpoint.locate(one, None, SOME, **how).effects for one in (model, wide))
    return (ours - exact).mean(dim=0).abs()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_errors_are_those_against_a_copy_of_the_model_in_float32(family: str) -> None:
    model = narrow(family)
    found = pinpoint.locate(model, None, SOME, noise_pairs=len(SOME))
    assert found.rounding is not None
    expected = off(model, copy.deepcopy(model).float())
    assert expected.max() > 1e-5, "bfloat16 must round for this test to mean anything"
    assert found.rounding.errors == pytest.approx(expected, abs=0.02 * float(expected.max()))
    assert (found.rounding.dtype, found.rounding.against, found.rounding.pairs) == ("bfloat16", "float32", len(SOME))
    assert found.noise_floor == float(found.rounding.errors.max())


HOW = {
    "by brute force": {"engine": "naive"},
    "activation": {"method": "activation"},
    "activation, suffix, brute force": {"method": "activation", "positions": "suffix", "engine": "naive"},
    "attribution": {"method": "attribution"},
    "whole answers": {"metric": "logprob_diff"},
}


@pytest.mark.parametrize("how", HOW)
def test_every_way_of_patching_has_its_floor(how: str) -> None:
    model = narrow("llama-gqa", torch.float16)
    found = pinpoint.locate(model, None, SOME, noise_pairs=9, **HOW[how])
    expected = off(model, copy.deepcopy(model).float(), **HOW[how])
    assert found.rounding is not None and expected.max() > 1e-6
    assert found.rounding.errors == pytest.approx(expected, abs=0.02 * float(expected.max()))


@pytest.mark.parametrize("family", PLAIN)
def test_float32_is_held_to_float64(family: str) -> None:
    found = pinpoint.locate(tiny(family), None, SOME, noise_pairs=2)
    assert found.rounding is not None and found.rounding.against == "float64"
    assert 0 < found.rounding.floor < 1e-4 * float(found.mean.abs().max())
    assert found.rounding.pairs == 2


def test_paths_and_other_nodes_have_theirs() -> None:
    model = narrow("llama-gqa")
    paths = pinpoint.locate_paths(model, None, SOME, [Head(2, 1)], through="v", noise_pairs=2)
    assert paths.rounding is not None and paths.rounding.floor > 0
    assert not paths.rounding.errors[2].any(), "nothing comes after the receiver"
    nodes = pinpoint.locate_nodes(model, None, SOME, nodes=["heads", "mlps"], noise_pairs=2)
    assert nodes.rounding is not None and nodes.noise_floor("mlps") and nodes.noise_floor("heads")
    heads = pinpoint.locate(model, None, SOME, noise_pairs=2)
    assert nodes.noise_floor("heads") == pytest.approx(heads.noise_floor, rel=0.2)


def test_the_model_is_left_as_it_was() -> None:
    model = narrow("llama-gqa")
    before = {name: (id(tensor), tensor.dtype) for name, tensor in model.named_parameters()}
    buffers = {name: (id(tensor), tensor.dtype) for name, tensor in model.named_buffers()}
    plain = pinpoint.locate(model, None, SOME)
    found = pinpoint.locate(model, None, SOME, noise_pairs=2)
    assert torch.equal(found.effects, plain.effects) and plain.rounding is None
    assert {name: (id(tensor), tensor.dtype) for name, tensor in model.named_parameters()} == before
    assert {name: (id(tensor), tensor.dtype) for name, tensor in model.named_buffers()} == buffers
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_scores_are_kept_where_the_model_does_not_run_in_the_wider_dtype() -> None:
    model = narrow("llama-gqa")
    forward = type(model.model.layers[1].mlp).forward

    def narrow_alone(x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float32:
            raise RuntimeError("this kernel takes bfloat16 alone")
        return forward(model.model.layers[1].mlp, x)

    model.model.layers[1].mlp.forward = narrow_alone
    with pytest.warns(PinpointWarning, match="not measured: the model does not run in float32: this kernel takes"):
        found = pinpoint.locate(model, None, SOME, noise_pairs=2)
    assert found.rounding is None and torch.equal(found.effects, pinpoint.locate(model, None, SOME).effects)
    assert model.model.layers[1].mlp.forward is narrow_alone
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_what_cannot_be_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama-gqa")
    monkeypatch.setattr(model, "hf_quantizer", object(), raising=False)
    with pytest.warns(PinpointWarning, match="not measured: the weights are quantised"):
        assert pinpoint.locate(model, None, SOME, noise_pairs=2).rounding is None
    monkeypatch.undo()
    monkeypatch.setattr(_rounding, "WIDER", {})
    with pytest.warns(PinpointWarning, match="there is no wider dtype to compare float32 with"):
        assert pinpoint.locate(model, None, SOME, noise_pairs=2).rounding is None
    with pytest.raises(ConfigError, match="noise_pairs must be 0 or more; got -1"):
        pinpoint.locate(model, None, SOME, noise_pairs=-1)


@pytest.mark.parametrize("method", ["probe", "random"])
def test_methods_without_effects_have_no_floor(method: str) -> None:
    assert pinpoint.locate(tiny("llama-gqa"), None, SOME, method=method, noise_pairs=2).rounding is None
