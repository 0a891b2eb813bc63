"""Knocking out each head alone, held to hooked full passes that share no code with it."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.data import encode_pair
from pinpoint.errors import ConfigError, InputError, PinpointWarning
from pinpoint.heads import Head
from pinpoint.interventions import captured_heads
from pinpoint.models import headed
from pinpoint.verify import Prompts
from tests.families import FAMILIES, tiny
from tests.models import checks

# Shared keys, sliding windows, positions as a bias on scores, parallel blocks, routed MLPs, state space.
FEW = ("llama-gqa", "gemma3", "bloom", "falcon-40b", "mixtral", "jamba")


@torch.no_grad()
def means_of(model: PreTrainedModel) -> torch.Tensor:
    """Means over two prompts, [layer head d_head]."""
    view = headed(model)
    with captured_heads(view) as z:
        view.backbone(checks.IDS, use_cache=False)
    means = torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    for layer, values in z.items():
        means[layer] = values.reshape(-1, view.n_heads, view.head_dim).mean(dim=0)
    return means


def located(model: PreTrainedModel, pairs: list[pinpoint.ContrastPair], **options: Any) -> pinpoint.HeadScores:
    means = options.pop("means", None)
    means = means_of(model) if means is None else means
    return pinpoint.locate(model, None, pairs, **{"method": "knockout", "means": means} | options)


@torch.no_grad()
def by_hand(model: PreTrainedModel, pairs: list[pinpoint.ContrastPair]) -> torch.Tensor:
    """One unpadded, uncached pass a head, its columns overwritten by a hook."""
    view, means = headed(model), means_of(model)
    effects = torch.zeros(len(pairs), view.n_layers, view.n_heads)

    def value(pair: pinpoint.ContrastPair, head: Head | None) -> float:
        def overwrite(_module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            z = args[0].clone()
            z[..., head.head * view.head_dim : (head.head + 1) * view.head_dim] = means[head.layer, head.head]
            return (z,)

        hooks = [] if head is None else [view.out_proj(head.layer).register_forward_pre_hook(overwrite)]
        try:
            logits = model(torch.tensor([pair.reference]), use_cache=False).logits[0, -1]
        finally:
            for hook in hooks:
                hook.remove()
        return float(logits[pair.unwanted].mean() - logits[pair.wanted].mean())

    for i, pair in enumerate(pairs):
        before = value(pair, None)
        for head in view.heads():
            effects[i, head.layer, head.head] = value(pair, head) - before
    return effects


def difference(family: str, **options: Any) -> float:
    model, pairs = tiny(family), checks.pairs()
    exact = by_hand(model, pairs)
    assert exact.abs().max() > 1e-3, "the heads must matter for this to mean anything"
    return checks.relative(located(model, pairs, **options).effects, exact)


@pytest.mark.parametrize("family", FEW)
def test_knockout_equals_a_hooked_pass_per_head(family: str) -> None:
    assert difference(family) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FEW])
def test_knockout_equals_a_hooked_pass_per_head_on_every_other_architecture(family: str) -> None:
    assert difference(family) < 1e-4


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 4}, {"engine": "naive"}])
def test_heads_at_once_and_the_engine_do_not_change_a_score(options: dict[str, Any]) -> None:
    assert difference("llama-gqa", **options) < 1e-4


@pytest.mark.parametrize("family", ["gemma3", "falcon-40b"])
def test_blocks_are_left_as_they_were(family: str) -> None:
    model = tiny(family)
    before, blocks = model(checks.IDS).logits, list(headed(model).layers)
    located(model, checks.pairs())
    assert all(one is other for one, other in zip(headed(model).layers, blocks, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(model(checks.IDS).logits, before)


def test_nothing_below_a_head_is_run_again() -> None:
    model, pair = tiny("llama-gqa"), checks.pairs()[0]
    means = means_of(model)
    seen: list[tuple[str, tuple[int, ...]]] = []
    modules = {
        f"{part} {i}": getattr(layer, part)
        for i, layer in enumerate(model.model.layers)
        for part in ("self_attn", "mlp")
    }
    handles = [
        module.register_forward_hook(lambda _m, _a, output, name=name: seen.append((name, _shape(output))))
        for name, module in modules.items()
    ]
    located(model, [pair], means=means)
    for handle in handles:
        handle.remove()
    once, rows = (1, len(pair.reference)), (7, len(pair.reference))  # six heads a layer, and the reference
    whole = [("self_attn 0", once), ("mlp 0", once), ("self_attn 1", once), ("mlp 1", once)]
    whole += [("self_attn 2", once), ("mlp 2", once)]
    first = [("mlp 0", rows), ("self_attn 1", rows), ("mlp 1", rows), ("self_attn 2", rows), ("mlp 2", rows)]
    assert seen == [*whole, *first, ("mlp 1", rows), ("self_attn 2", rows), ("mlp 2", rows), ("mlp 2", rows)]


def _shape(output: Any) -> tuple[int, ...]:
    return tuple((output[0] if isinstance(output, tuple) else output).shape[:2])


def test_effects_are_the_knockout_curves_first_step() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    view, means = headed(model), means_of(model)
    prompts = Prompts(view, None, pairs, "mean", means, 2)
    whole = torch.tensor(prompts.log_odds([]))
    found = located(model, pairs, metric="log_odds")
    for head in (Head(0, 1), Head(1, 5), Head(2, 0)):
        stepped = torch.tensor(prompts.log_odds([head])) - whole
        assert torch.allclose(found.effects[:, head.layer, head.head], stepped, atol=1e-5)
    assert found.reference.tolist() == pytest.approx(whole.tolist(), abs=1e-5)


@pytest.mark.parametrize("metric", ["logprob_diff", "mean_logprob_diff"])
@pytest.mark.parametrize("family", ["llama-gqa", "gpt2"])
def test_whole_answers_are_measured_as_brute_force_measures_them(family: str, metric: str) -> None:
    model = tiny(family)
    some = [dataclasses.replace(p, unwanted=[[5, 6, 9], [8]], wanted=[[7, 7]]) for p in checks.pairs()]
    fast = located(model, some, metric=metric)
    exact = located(model, some, metric=metric, engine="naive")
    assert exact.effects.abs().max() > 1e-3 and checks.relative(fast.effects, exact.effects) < 1e-4
    # By hand, on one head: every token of every answer, after the prompt.
    view, head = headed(model), Head(1, 2)
    prompts = Prompts(view, None, some, "mean", means_of(model), 4, metric)
    stepped = torch.tensor(prompts.log_odds([head])) - torch.tensor(prompts.log_odds([]))
    assert torch.allclose(exact.effects[:, 1, 2], stepped, atol=1e-5)


def test_the_counterfactual_plays_no_part() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in pairs]
    assert torch.equal(located(model, same).effects, located(model, pairs).effects)


def test_a_head_that_puts_out_its_mean_has_no_effect_and_that_is_told() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()[:1]
    last = torch.tensor([encode_pair(None, pairs[0]).reference])
    view = headed(model)
    for layer in view.layers:
        layer.self_attn.v_proj.weight.data.zero_()
    with torch.no_grad(), captured_heads(view) as z:
        view.backbone(last, use_cache=False)
    assert not any(values.any() for values in z.values()), "without values, heads put out nothing"
    with pytest.warns(PinpointWarning, match="the knockout looks empty"):
        found = located(model, pairs, means=torch.zeros(view.n_layers, view.n_heads, view.head_dim))
    assert torch.equal(found.effects, torch.zeros_like(found.effects)), "the reference rides in every pass"


def test_partial_results_are_kept_pair_by_pair_and_by_means(tmp_path: Path) -> None:
    model, pairs, space = tiny("llama-gqa"), checks.pairs(), Workspace(tmp_path)
    means = means_of(model)
    first = located(model, pairs, workspace=space)
    assert len(list(tmp_path.glob("*.safetensors"))) == len(pairs)
    again = located(tiny("qwen2"), pairs, means=means, workspace=space)
    assert torch.equal(again.effects, first.effects), "read from the workspace, whatever the model"
    other = located(model, pairs, means=means + 0.5, workspace=space)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2 * len(pairs)
    assert not torch.allclose(other.effects, first.effects, atol=1e-4)


def test_scores_say_what_they_are() -> None:
    scores = located(tiny("llama-gqa"), checks.pairs(), noise_pairs=2)
    label = "effect of knocking each head out alone, all positions, cached"
    assert repr(scores) == f"<HeadScores: 18 heads ({label}), logit_diff, 3 pairs>"
    assert (scores.method, scores.positions) == ("knockout", "all")
    assert scores.rounding is not None and 0 < scores.rounding.floor < 1e-4 * float(scores.mean.abs().max())
    lowest = scores.top(1)[0]
    assert scores.mean[lowest] == scores.mean.min() < 0


def test_what_does_not_go_together_is_refused() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    with pytest.raises(ConfigError, match=r"^means: method 'knockout' needs means, .*\. Give pinpoint.measure.head_m"):
        pinpoint.locate(model, None, pairs, method="knockout")
    with pytest.raises(ConfigError, match=r"^means: .* no other method takes them"):
        located(model, pairs, method="activation")
    with pytest.raises(InputError, match=r"^means: means have shape \(3, 6, 9\); this model's heads need \(3, 6, 8\)"):
        located(model, pairs, means=torch.zeros(3, 6, 9))
    with pytest.raises(InputError, match="^means: a mean is not finite"):
        located(model, pairs, means=means_of(model) * torch.nan)
    with pytest.raises(ConfigError, match="not with 'knockout', which knocks heads out at every position"):
        located(model, pairs, positions="suffix")
    with pytest.raises(ConfigError, match="heads can be given under method 'path' alone"):
        located(model, pairs, given=[Head(0, 0)])
