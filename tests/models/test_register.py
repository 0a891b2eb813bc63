"""An architecture that a user describes: known from then on, and held to brute force before anything rests on it."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, XGLMConfig, XGLMForCausalLM

import pinpoint
from pinpoint.errors import ArchitectureError, ConfigError
from pinpoint.models import Layout, _registry, fused, known_types, register, stacked
from tests.models import checks

XGLM = Layout(model_types=("xglm",), tail=("model.layer_norm",), out_proj="out_proj")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "new-architectures.md"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    _registry._ADDED.clear()


def xglm(**changes: Any) -> PreTrainedModel:
    shape = {"vocab_size": 97, "d_model": 48, "ffn_dim": 80, "num_layers": 3, "attention_heads": 6, "pad_token_id": 0}
    torch.manual_seed(0)
    model = XGLMForCausalLM(XGLMConfig(**{**shape, "max_position_embeddings": 64, "init_std": 0.2, **changes}))
    return model.float().eval()


def test_an_unknown_architecture_says_how_to_describe_it() -> None:
    with pytest.raises(ArchitectureError, match=r"'xglm'; known are .*give it to pinpoint.models.register: docs/new"):
        pinpoint.locate(xglm(), None, checks.pairs())


def test_a_described_architecture_is_located_exactly() -> None:
    register(XGLM)
    assert "xglm" in known_types()
    model = xglm()
    assert checks.locate_difference(model) < 1e-4
    assert checks.reference_difference(model) < 1e-4
    assert checks.padding_difference(model) < 1e-4
    assert checks.knockout_difference(model) < 1e-5
    assert checks.tune_difference(model, "q,k,v,o") < 1e-5


def test_the_layout_in_the_docs_is_the_one_that_is_tested() -> None:
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    exec(code[1], {})
    assert _registry.layout_of("xglm") == XGLM


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tail": ("model.norm",)}, "no model.norm in XGLMForCausalLM"),
        ({"attention": "attn"}, "no attn in any block of model.layers"),
        ({"out_proj": "o_proj"}, "no o_proj in XGLMAttention"),
        ({"projections": lambda _config: fused("qkv_proj", stacked)}, "no qkv_proj in XGLMAttention"),
        ({"projections": lambda _config: fused("q_proj", stacked)}, "no 6 heads of k, 8 wide in the outputs of"),
        ({"tail": ()}, "the sweep is off by"),
        ({"adds_residual": True}, "its blocks do not run on rows of one token"),
        ({"out_proj": "q_proj"}, "an earlier token still reaches the last position"),
    ],
)
def test_a_layout_that_does_not_describe_the_model_is_refused(change: dict[str, Any], message: str) -> None:
    register(dataclasses.replace(XGLM, **change))
    with pytest.raises(ArchitectureError, match=re.escape(message)):
        pinpoint.locate(xglm(), None, checks.pairs())


def test_known_architectures_cannot_be_described_anew() -> None:
    with pytest.raises(ConfigError, match="register: model_type llama is known already"):
        register(dataclasses.replace(XGLM, model_types=("xglm", "llama")))
    with pytest.raises(ConfigError, match="the layout is of no model_type"):
        register(dataclasses.replace(XGLM, model_types=()))
    assert "xglm" not in known_types()


def test_a_model_is_tried_once_and_left_as_it_was() -> None:
    register(XGLM)
    model = xglm().train()
    pinpoint.locate(model, None, checks.pairs())
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
