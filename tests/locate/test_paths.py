"""Paths from head to head: engine and brute force, held to hooked passes that share no code with them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.data import ContrastPair
from pinpoint.errors import ArchitectureError, ConfigError, InputError, PinpointWarning
from pinpoint.heads import Head
from pinpoint.models import headed
from tests.families import FAMILIES, tiny
from tests.models import checks

LATENT = ("deepseek-v2", "deepseek-v3", "deepseek-v3.2", "glm4-moe-lite", "youtu", "axk1", "minicpm3", "mistral4")
LATENT += ("kimi-linear", "bailing-hybrid")
# Grouped keys; windows and sandwich norms; fused and parallel; learned positions; joint norms; routed.
FEW = ("llama-gqa", "gemma3", "falcon-40b", "gpt2", "olmo2", "mixtral")
RECEIVERS = [Head(1, 4), Head(2, 1), Head(2, 5)]


def receivers_of(model: PreTrainedModel) -> list[Head]:
    layers = headed(model).attention_layers
    return [head for head in RECEIVERS if head.layer in layers] if len(layers) > 1 else [Head(layers[0], 4)]


@torch.no_grad()
def metrics_of(model: Any, pairs: list[ContrastPair]) -> torch.Tensor:
    """Metric of each pair's reference by a plain pass of its own."""
    logits = [model(torch.tensor([pair.reference])).logits[0, -1].float() for pair in pairs]
    return torch.stack(
        [row[pair.unwanted].mean() - row[pair.wanted].mean() for row, pair in zip(logits, pairs, strict=True)]
    )


def differences(family: str, through: str, pairs: list[ContrastPair]) -> tuple[float, float]:
    """Largest difference to brute force in double: in double, over the largest effect; in single, over the metric."""
    model = tiny(family)
    receivers = receivers_of(model)
    single = pinpoint.locate_paths(model, None, pairs, receivers, through=through)
    assert checks.relative(single.reference, metrics_of(model, pairs)) < 1e-5
    model.double().set_experts_implementation("eager")  # the grouped products of routed experts are not there in double
    exact = pinpoint.locate_paths(model, None, pairs, receivers, through=through, engine="naive")
    double = pinpoint.locate_paths(model, None, pairs, receivers, through=through)
    largest = float(exact.effects.abs().max())
    if exact.layers is not None and len(exact.layers) > 1:
        assert largest > 1e-5, "the paths must matter for this to mean anything"
    assert checks.relative(double.reference, exact.reference) < 1e-5
    off = float((double.effects - exact.effects).abs().max()) / max(largest, 1e-5)
    # An effect is the difference of two metrics, and one path may move a thousandth of what heads do in all: in single
    # precision the rounding is that of the metrics, whichever engine computes them.
    rounded = float((single.effects - exact.effects).abs().max() / exact.reference.abs().max())
    return off, rounded


@pytest.mark.parametrize("through", ["q", "k", "v"])
@pytest.mark.parametrize("family", FEW)
def test_the_cached_engine_equals_brute_force(family: str, through: str) -> None:
    off, rounded = differences(family, through, checks.alike() + checks.alike(5))
    assert off < 1e-6 and rounded < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "through"),
    [(family, through) for family in FAMILIES if family not in (*FEW, *LATENT) for through in "qkv"],
)
def test_the_cached_engine_equals_brute_force_on_every_other_architecture(family: str, through: str) -> None:
    # Some compute attention, norms or scans in single precision whatever their weights are in: 9e-6 at the most, and
    # CodeGen, whose logits of attention are of single precision too, 2e-5 of the largest effect of few pairs.
    off, rounded = differences(family, through, checks.alike() + (checks.alike(5) if family == "codegen" else []))
    assert off < 2e-5 and rounded < 1e-5


@pytest.mark.parametrize("family", ["llama-gqa", "gemma2"])
@pytest.mark.parametrize("through", ["q", "v"])
def test_whole_continuations_are_measured_along_paths_too(family: str, through: str) -> None:
    model, receivers = tiny(family), RECEIVERS
    pairs = [dataclasses.replace(pair, unwanted=[[5, 6, 9], [8]], wanted=[[5, 7]]) for pair in checks.alike()]
    asked = {"through": through, "metric": "logprob_diff"}
    exact = pinpoint.locate_paths(model, None, pairs, receivers, engine="naive", **asked)
    fast = pinpoint.locate_paths(model, None, pairs, receivers, **asked)
    assert checks.relative(fast.effects, exact.effects) < 1e-4
    assert checks.relative(fast.reference, exact.reference) < 1e-4


# Which outputs of the projections are queries, keys or values, written down by hand: 6 heads of 8, 2 of them for keys.
def _side_by_side(queries: int, keys: int) -> Callable[[str], dict[str, list[int]]]:
    starts = {"q": (0, queries), "k": (queries, queries + keys), "v": (queries + keys, queries + 2 * keys)}
    return lambda through: list(range(*starts[through]))


BY_HAND: dict[str, tuple[str, Callable[[str], list[int]]]] = {
    "gpt2": ("attn.c_attn", _side_by_side(48, 48)),
    "phi3": ("self_attn.qkv_proj", _side_by_side(48, 16)),
    "bloom": (
        "self_attention.query_key_value",
        lambda through: [24 * head + 8 * "qkv".index(through) + i for head in range(6) for i in range(8)],
    ),
    "falcon-40b": (
        "self_attention.query_key_value",
        lambda through: [
            40 * group + 8 * slot + i
            for group in range(2)
            for slot in ((0, 1, 2) if through == "q" else (3 if through == "k" else 4,))
            for i in range(8)
        ],
    ),
}


def _projections(model: Any, family: str, layer: int, through: str) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """The modules of a block that project, and which outputs of each are exchanged."""
    block = headed(model).layers[layer]
    if family in BY_HAND:
        name, columns = BY_HAND[family]
        return {name: block.get_submodule(name)}, {name: columns(through)}
    modules = {f"self_attn.{which}_proj": block.get_submodule(f"self_attn.{which}_proj") for which in "qkv"}
    chosen = f"self_attn.{through}_proj"
    return modules, {chosen: list(range(modules[chosen].out_features))}


class Recorder:
    """Hooks by hand: records or replaces what modules take and give in one unpadded, uncached pass."""

    def __init__(self) -> None:
        self.handles: list[Any] = []

    def inputs(self, module: Any, edit: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.handles.append(module.register_forward_pre_hook(lambda _m, args: (edit(args[0]), *args[1:])))

    def outputs(self, module: Any, edit: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.handles.append(module.register_forward_hook(lambda _m, _a, out: edit(out)))

    def run(self, model: Any, ids: list[int]) -> torch.Tensor:
        try:
            return model(torch.tensor([ids]), use_cache=False).logits[0].float()
        finally:
            for handle in self.handles:
                handle.remove()


@torch.no_grad()
def path_by_hand(model: Any, family: str, pair: ContrastPair, sender: Head, through: str, patched: int) -> float:
    """Metric with the path patched minus without: record both prompts, send, receive."""
    view = headed(model)
    z: list[dict[int, torch.Tensor]] = []
    projected: dict[tuple[int, str], torch.Tensor] = {}
    for ids in (pair.counterfactual, pair.reference):
        seen: dict[int, torch.Tensor] = {}
        plain = Recorder()
        for layer in range(3):
            plain.inputs(view.out_proj(layer), lambda x, layer=layer, seen=seen: seen.setdefault(layer, x.clone()))
            for name, module in _projections(model, family, layer, through)[0].items():
                plain.outputs(module, lambda x, key=(layer, name): projected.update({key: x.clone()}) or x)
        logits = plain.run(model, ids)  # the reference comes last: what is projected is its own
        z.append(seen)
    before = logits[-1]

    width = view.head_dim
    sent: dict[tuple[int, str], torch.Tensor] = {}
    first = Recorder()
    for layer in range(3):
        frozen = z[1][layer].clone()
        if layer == sender.layer:
            columns = slice(sender.head * width, (sender.head + 1) * width)
            frozen[0, -patched:, columns] = z[0][layer][0, -patched:, columns]
        first.inputs(view.out_proj(layer), lambda _x, frozen=frozen: frozen)
        for name, module in _projections(model, family, layer, through)[0].items():
            first.outputs(module, lambda x, key=(layer, name): sent.update({key: x.clone()}) or x)
    first.run(model, pair.reference)

    second = Recorder()
    for layer in range(3):
        mine = [head.head for head in RECEIVERS if head.layer == layer]

        def receive(x: torch.Tensor, layer: int = layer, mine: list[int] = mine) -> torch.Tensor:
            kept = z[1][layer].clone()
            for head in mine:
                kept[..., head * width : (head + 1) * width] = x[..., head * width : (head + 1) * width]
            return kept

        second.inputs(view.out_proj(layer), receive)
        if mine:
            modules, chosen = _projections(model, family, layer, through)
            for name, module in modules.items():
                given = projected[layer, name].clone()
                columns = chosen.get(name, [])
                given[..., columns] = sent[layer, name][..., columns]
                second.outputs(module, lambda _x, given=given: given)
    after = second.run(model, pair.reference)[-1]
    moved = after - before
    return float(moved[pair.unwanted].mean() - moved[pair.wanted].mean())


@pytest.mark.parametrize("through", ["q", "k", "v"])
@pytest.mark.parametrize("family", ["llama-gqa", "gemma3", "qwen3", *BY_HAND])
def test_effects_are_those_of_hooked_passes(family: str, through: str) -> None:
    model, pairs = tiny(family), checks.alike()[:2]
    found = pinpoint.locate_paths(model, None, pairs, RECEIVERS, through=through)
    largest = float(found.effects.abs().max())
    assert largest > 1e-5, "the paths must matter for this to mean anything"
    for i, (pair, suffix) in enumerate(zip(pairs, (4, 9), strict=True)):
        for sender in (Head(0, 2), Head(0, 5), Head(1, 4), Head(1, 0), Head(2, 3)):
            expected = path_by_hand(model, family, pair, sender, through, 1 if through == "q" else suffix)
            close = max(1e-4 * largest, 1e-6)
            assert float(found.effects[i, sender.layer, sender.head]) == pytest.approx(expected, abs=close)


def test_what_no_receiver_comes_after_has_no_effect_at_all() -> None:
    found = pinpoint.locate_paths(tiny("llama-gqa"), None, checks.alike(), [Head(1, 2)], through="v")
    assert bool((found.effects[:, 0].abs() > 0).all())
    assert torch.equal(found.effects[:, 1:], torch.zeros_like(found.effects[:, 1:]))


@pytest.mark.parametrize("engine", ["sweep", "naive"])
def test_nothing_comes_before_the_first_layer(engine: str) -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    found = pinpoint.locate_paths(model, None, pairs, [Head(0, 1)], engine=engine)
    assert not bool(found.effects.any())
    assert torch.allclose(found.reference, metrics_of(model, pairs), rtol=0, atol=1e-5)


@pytest.mark.parametrize("through", ["q", "k", "v"])
def test_patching_the_reference_into_itself_is_exactly_zero(through: str) -> None:
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in checks.alike()]
    with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
        scores = pinpoint.locate_paths(tiny("gemma2"), None, same, RECEIVERS, through=through)
    assert torch.equal(scores.effects, torch.zeros_like(scores.effects))


@pytest.mark.parametrize("batch_size", [1, 4, 7, 100])
def test_batching_does_not_change_a_score(batch_size: int) -> None:
    model = tiny("qwen3")
    plain = pinpoint.locate_paths(model, None, checks.alike(), RECEIVERS, through="k")
    other = pinpoint.locate_paths(model, None, checks.alike(), RECEIVERS, through="k", batch_size=batch_size)
    assert (other.effects - plain.effects).abs().max() < 1e-5  # as for heads: sums round by the batch and the threads


def test_scores_of_paths_say_what_they_are(tmp_path: Path) -> None:
    model, pairs, space = tiny("llama-gqa"), checks.alike(), Workspace(tmp_path)
    scores = pinpoint.locate_paths(model, None, pairs, [Head(2, 1), Head(1, 0)], through="k", workspace=space)
    assert scores.label == ("effect by path patching through k of L2.H1, L1.H0, from the first difference on, cached")
    query = pinpoint.locate_paths(model, None, pairs, [Head(2, 1)], workspace=space)
    assert query.label == "effect by path patching through q of L2.H1, cached"
    assert not torch.equal(query.effects, scores.effects) and query.receivers == (Head(2, 1),)
    again = pinpoint.locate_paths(tiny("qwen2"), None, pairs, [Head(2, 1)], workspace=space)
    assert torch.equal(again.effects, query.effects), "read from the workspace, whatever the model"


def test_a_model_is_left_as_it_was() -> None:
    model = tiny("gpt2").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pinpoint.locate_paths(model, None, checks.alike(), RECEIVERS, through="v")
    assert model.training and all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_what_cannot_be_asked_of_paths_is_refused() -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    with pytest.raises(InputError, match="there are no receivers"):
        pinpoint.locate_paths(model, None, pairs, [])
    with pytest.raises(InputError, match="L3.H0 is not a head of this model"):
        pinpoint.locate_paths(model, None, pairs, [Head(3, 0)])
    with pytest.raises(ConfigError, match=r"through 'o' is unknown. Use one of q, k, v"):
        pinpoint.locate_paths(model, None, pairs, RECEIVERS, through="o")
    with pytest.raises(ConfigError, match="positions 'suffix' goes with k and v: a query acts on its own position"):
        pinpoint.locate_paths(model, None, pairs, RECEIVERS, positions="suffix")
    with pytest.raises(InputError, match="some positions have no counterpart"):
        pinpoint.locate_paths(model, None, [ContrastPair([3, 4, 5, 6], [9, 8], 5, 7)], RECEIVERS, through="k")


@pytest.mark.parametrize("family", LATENT)
def test_keys_that_heads_share_a_part_of_are_refused(family: str) -> None:
    with pytest.raises(ArchitectureError, match="keys hold a part that is made beside the projections"):
        pinpoint.locate_paths(tiny(family), None, checks.alike(), RECEIVERS)
