"""What would be wrong without a feature: each is left out on purpose, and what fails is what ought to fail."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pinpoint
from pinpoint.errors import ArchitectureError
from pinpoint.interventions import run_block
from pinpoint.interventions._supply import supplied
from pinpoint.models import HeadedModel, Projections, features, fused, grouped, headed, interleaved, stacked
from pinpoint.models._registry import layout_of
from tests.families import tiny
from tests.models import checks


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("bloom", {"adds_residual": False}),
        ("opt", {"tail": ()}),
        ("olmo2", {"tail": ()}),
        ("jamba", {"mixers": ()}),
        ("falcon-h1", {"mixers": ()}),
        ("qwen3-next", {"mixers": ()}),
        ("olmo-hybrid", {"mixers": ()}),
        ("lfm2-vl", {"mixers": ()}),
    ],
)
def test_a_layout_without_the_feature_gives_other_scores(
    family: str, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    exact = pinpoint.locate(model, None, checks.pairs(), engine="naive").effects
    layout = layout_of(model.config.model_type)
    assert layout is not None
    broken = HeadedModel(model, dataclasses.replace(layout, **change))
    monkeypatch.setattr(sys.modules["pinpoint.locate._locate"], "headed", lambda _model: broken)
    with pytest.raises(ArchitectureError, match="does not describe it"):
        pinpoint.locate(model, None, checks.pairs())
    monkeypatch.setattr(sys.modules["pinpoint.locate._locate"], "try_layout", lambda _view: None)
    if "mixers" in change:
        # Left to itself, a mixer runs over a row of one token with what it knows of whole prompts.
        with pytest.raises(RuntimeError, match=r"size of tensor a \(\d+\) must match the size of tensor b \(6\)"):
            pinpoint.locate(model, None, checks.pairs())
        return
    scores = pinpoint.locate(model, None, checks.pairs()).effects
    assert checks.relative(scores, exact) > 1e-3


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("minimax", {"mixer_outputs": 1}, "not enough values to unpack|too many values to unpack"),
        ("nemotron-h", {"mixer_outputs": 2}, "unsupported operand|tuple"),
    ],
)
def test_a_layout_that_miscounts_what_a_module_returns_is_refused(
    family: str, change: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    broken = HeadedModel(model, dataclasses.replace(headed(model).layout, **change))
    monkeypatch.setattr(sys.modules["pinpoint.locate._locate"], "headed", lambda _model: broken)
    with pytest.raises(ArchitectureError, match=f"its blocks do not run on rows of one token .*({message})"):
        pinpoint.locate(model, None, checks.pairs())


@pytest.mark.parametrize("family", ["minimax", "nemotron-h"])
def test_attention_is_told_from_the_mixers_in_its_place(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(family)
    layout = headed(model).layout
    broken = HeadedModel(model, dataclasses.replace(layout, mixer_mark=""))
    monkeypatch.setattr(sys.modules["pinpoint.locate._locate"], "headed", lambda _model: broken)
    with pytest.raises(ArchitectureError, match=f"no {layout.out_proj} in "):
        pinpoint.locate(model, None, checks.pairs())


@pytest.mark.parametrize(
    ("family", "module", "wrong"),
    [
        ("gpt2", "c_attn", interleaved),
        ("gpt-neox", "query_key_value", stacked),
        ("bloom", "query_key_value", stacked),
        ("falcon-7b", "query_key_value", interleaved),
        ("falcon-40b", "query_key_value", stacked),
        ("falcon-rw", "query_key_value", stacked),
        ("mpt", "Wqkv", interleaved),
        ("phi3", "qkv_proj", grouped),
        ("codegen", "qkv_proj", stacked),
        ("dbrx", "Wqkv", interleaved),
        ("qwen3.5", "", None),
    ],
)
def test_a_projection_read_in_another_order_moves_other_heads(
    family: str, module: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    view = headed(model)
    layer = view.attention_layers[-1]
    read = fused(module, wrong) if module else Projections()
    broken = HeadedModel(model, dataclasses.replace(view.layout, projections=lambda _config: read))
    monkeypatch.setattr(checks, "headed", lambda _model: broken)
    outputs = features(model.get_submodule(broken.projection_slice(layer, "q", 0)[0]))[1]
    there = [unit for unit in range(view.n_heads) if broken.projection_slice(layer, "q", unit)[1].stop <= outputs]
    assert any(checks.heads_moved_by(model, layer, "q", unit) != {unit} for unit in there)
    # What a layout says of q, k and v is for the tuner: locating goes by the out projection.
    monkeypatch.setattr(sys.modules["pinpoint.locate._locate"], "headed", lambda _model: broken)
    monkeypatch.setattr(sys.modules["pinpoint.locate._locate"], "try_layout", lambda _view: None)
    assert checks.locate_difference(model) < 1e-4


def test_a_transposed_conv1d_is_caught_by_knockouts_and_by_what_tuning_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("gpt2")
    monkeypatch.setattr(checks, "_weight_rows", lambda module: module.weight)
    assert checks.knockout_difference(model) > 1e-2
    with pytest.raises(AssertionError, match="c_proj"):
        checks.tune_difference(model, "o")


@pytest.mark.parametrize("family", ["gpt-oss", "granite-swa", "granite-moe-swa"])
def test_attention_sinks_bite(family: str) -> None:
    model = tiny(family)
    there = pinpoint.locate(model, None, checks.pairs()).effects
    for name, parameter in model.named_parameters():
        if name.endswith("sinks"):
            parameter.data.fill_(-torch.inf)
    assert checks.relative(pinpoint.locate(model, None, checks.pairs()).effects, there) > 1e-2


Change = Callable[[nn.Module], Any]


def _in_the_sweep_alone(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a block changed while rows run through it, and only then."""

    def changed(view: HeadedModel, layer: int, *args: Any) -> Tensor:
        with change(view.layers[layer]):
            return run_block(view, layer, *args)

    monkeypatch.setattr(sys.modules["pinpoint.locate._sweep"], "run_block", changed)


@contextmanager
def _without(block: nn.Module, names: tuple[str, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(supplied(block, name, lambda x: x))
        yield


@pytest.mark.parametrize(
    ("family", "norms"),
    [
        ("gemma2", ("post_attention_layernorm", "post_feedforward_layernorm")),
        ("gemma3", ("post_feedforward_layernorm",)),
        ("glm4", ("post_self_attn_layernorm", "post_mlp_layernorm")),
        ("olmo2", ("post_attention_layernorm",)),
        ("exaone4", ("post_feedforward_layernorm",)),
        ("hyperclovax", ("post_norm1", "post_norm2")),
        ("afmoe", ("post_attention_layernorm", "post_mlp_layernorm")),
        ("glm4v", ("post_self_attn_layernorm", "post_mlp_layernorm")),
    ],
)
def test_rows_that_pass_over_a_norm_after_a_sublayer_get_other_scores(
    family: str, norms: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    _in_the_sweep_alone(lambda block: _without(block, norms), monkeypatch)
    assert checks.locate_difference(model) > 1e-2


@contextmanager
def _other_count(block: nn.Module) -> Iterator[None]:
    routers = [module for module in block.modules() if isinstance(getattr(module, "top_k", None), int)]
    counts = [module.top_k for module in routers]
    try:
        for module in routers:
            module.top_k = 1
        yield
    finally:
        for module, count in zip(routers, counts, strict=True):
            module.top_k = count


@pytest.mark.parametrize("family", ["mixtral", "qwen3-moe", "gpt-oss", "jamba", "deepseek-v3", "nemotron-h", "minimax"])
def test_rows_that_go_to_fewer_experts_get_other_scores(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(family)
    _in_the_sweep_alone(_other_count, monkeypatch)
    assert checks.locate_difference(model) > 1e-2
