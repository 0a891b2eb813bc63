"""An architecture that a user describes: known from then on, and held to brute force before anything rests on it."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedModel, XGLMConfig, XGLMForCausalLM

import pinpoint
from pinpoint.errors import ArchitectureError, ConfigError
from pinpoint.locate import _layout_check
from pinpoint.models import Layout, _registry, fused, known_types, register, stacked
from pinpoint.models._left_out import LEFT_OUT
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


TINY = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 6}
OF_GEMMA_4 = {"num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 16, "hidden_size_per_layer_input": 0}


def unlike(model_type: str, **changes: Any) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **TINY, **changes))
    assert isinstance(model, PreTrainedModel)
    return model.float().eval()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: unlike("gemma4_text", **OF_GEMMA_4),
            r"Gemma 4 \(model_type 'gemma4_text'\) is left out, for heads of blocks with full attention are wider .*"
            r"Take a model of a supported architecture: docs/families.md",
        ),
        (
            lambda: unlike("mimo_v2_flash", moe_intermediate_size=40, n_routed_experts=4, head_dim=8, v_head_dim=8),
            r"MiMo-V2-Flash .* blocks with a window have twice as many key/value heads",
        ),
        (lambda: unlike("bitnet"), r"BitNet .* a norm over all heads at once stands between"),
        (lambda: unlike("recurrent_gemma"), r"RecurrentGemma .* read the padding of a batch as they read text"),
    ],
)
def test_what_is_left_out_says_why(model: Callable[[], PreTrainedModel], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        pinpoint.locate(model(), None, checks.pairs())


def test_nothing_is_both_known_and_left_out() -> None:
    assert not {kind for one in LEFT_OUT for kind in one.model_types} & set(known_types())
    assert all(kind in CONFIG_MAPPING for one in LEFT_OUT for kind in one.model_types)


def test_blocks_whose_heads_differ_in_width_are_refused() -> None:
    register(Layout(model_types=("gemma4_text",)))
    model = unlike("gemma4_text", layer_types=["sliding_attention"] * 2 + ["full_attention"], **OF_GEMMA_4)
    with pytest.raises(ArchitectureError, match="no heads as wide as those of block 0 in block 2"):
        pinpoint.locate(model, None, checks.pairs())


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


def test_a_model_is_tried_once_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    register(XGLM)
    model, tried = xglm().train(), list[Any]()
    agree = _layout_check._engines_agree
    monkeypatch.setattr(_layout_check, "_engines_agree", lambda view: tried.append(view.model) or agree(view))
    for _ in range(2):
        pinpoint.locate(model, None, checks.pairs())
    assert tried == [model]
    pinpoint.locate(xglm(), None, checks.pairs())
    assert len(tried) == 2
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
