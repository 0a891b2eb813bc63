"""What is measured of every family; the tests hold it to limits, bench/families.py writes it down."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

import pinpoint
from pinpoint.heads import Head
from pinpoint.interventions import captured_heads, knockout, seen_choices
from pinpoint.models import headed
from pinpoint.nodes import KINDS
from pinpoint.tune import attach, head_slices

VOCAB = 97
# Of the effects' root mean square. OPT-350m adds to its residual stream before it normalises it: effects are small.
BFLOAT16 = 2**-3
BFLOAT16_OF = {"opt-350m": 2**-2}
IDS = torch.randint(3, VOCAB, (2, 12), generator=torch.Generator().manual_seed(0))


def pairs(seed: int = 1) -> list[pinpoint.ContrastPair]:
    """Three pairs of unequal lengths, longer than the sliding windows of the tiny models."""
    generator = torch.Generator().manual_seed(seed)

    def prompt(length: int) -> list[int]:
        return torch.randint(3, VOCAB, (length,), generator=generator).tolist()

    return [
        pinpoint.ContrastPair(prompt(a), prompt(b), unwanted=[5, 6], wanted=[7])
        for a, b in ((14, 12), (9, 13), (11, 11))
    ]


def alike(seed: int = 2) -> list[pinpoint.ContrastPair]:
    """Three pairs whose prompts begin alike: for most of them, for one token, and for all but the last token."""
    generator = torch.Generator().manual_seed(seed)

    def ids(length: int) -> list[int]:
        return torch.randint(3, VOCAB, (length,), generator=generator).tolist()

    made = []
    for shared, a, b in ((10, 4, 3), (1, 9, 12), (11, 1, 1)):
        start = ids(shared)
        made.append(pinpoint.ContrastPair(start + ids(a), start + ids(b), unwanted=[5, 6], wanted=[7]))
    return made


def relative(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value of `b`."""
    return float((a - b).abs().max() / b.abs().max())


def locate_difference(model: PreTrainedModel) -> float:
    """Sweep against brute force, on prompts that differ from the start and on prompts that begin alike."""
    differences = []
    for some in (pairs(), alike()):
        exact = pinpoint.locate(model, None, some, engine="naive")
        assert exact.effects.abs().max() > 1e-3, "the heads must matter for this to mean anything"
        differences.append(relative(pinpoint.locate(model, None, some).effects, exact.effects))
    return max(differences)


class _Choosing(TorchFunctionMode):
    """Keeps what `torch.topk` takes, call by call; or has it take what was kept."""

    def __init__(self, taken: list[Tensor] | None = None) -> None:
        super().__init__()
        self.taken: list[Tensor] = []
        self._again = None if taken is None else iter(taken)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func not in (torch.topk, Tensor.topk):
            return output
        if self._again is None:
            self.taken.append(output.indices)
            return output
        index = next(self._again)
        return torch.return_types.topk((args[0].gather(-1, index), index))


def bfloat16_difference(model: PreTrainedModel) -> float:
    """Scores of a model in bfloat16 against float32 with the same weights: root mean square over that of the effects.

    Experts, and positions that an indexer picks, are those that are chosen in bfloat16 in both: where two are all but
    equal, rounding chooses, and what follows is another computation.
    """
    some = [*pairs(), *alike()]
    narrow = copy.deepcopy(model).to(torch.bfloat16)
    with _Choosing() as choosing:
        found = pinpoint.locate(narrow, None, some, rows_per_chunk=64).effects
    with _Choosing(choosing.taken):
        exact = pinpoint.locate(narrow.float(), None, some, rows_per_chunk=64).effects
    assert exact.abs().max() > 1e-3, "the heads must matter for this to mean anything"
    return float((found - exact).norm() / exact.norm())


@torch.no_grad()
def reference_difference(model: PreTrainedModel) -> float:
    """The metric on unpatched references against the unhooked model on each prompt alone."""
    found = pinpoint.locate(model, None, pairs()).reference
    expected = []
    for pair in pairs():
        logits = model(torch.tensor([pair.reference])).logits[0, -1].float()
        expected.append(logits[[5, 6]].mean() - logits[7])
    return relative(found, torch.stack(expected))


@torch.no_grad()
def logits_under_the_hooks(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """All logits of the sweep's own unpatched pass over both prompts, and of the model on the same batch without it."""
    view, passes = headed(model), []

    def see(_module: nn.Module, _args: object, inputs: dict[str, Any], output: Any) -> None:
        passes.append((inputs, output))

    with pytest.MonkeyPatch.context() as patch:
        with _removed(view.backbone.register_forward_hook(see, with_kwargs=True)):
            pinpoint.locate_nodes(model, None, pairs(), nodes=KINDS)
        inputs, output = passes[0]
        patch.setattr(view.backbone, "forward", lambda *_args, **_inputs: output)
        hooked = model(**inputs).logits
    return hooked, model(**inputs).logits


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def padding_difference(model: PreTrainedModel) -> float:
    """Left against right padding, and a batch against one pair at a time."""
    plain = pinpoint.locate(model, None, pairs()).effects
    right = pinpoint.locate(model, None, pairs(), padding_side="right").effects
    alone = pinpoint.locate(model, None, pairs(), batch_size=1, rows_per_chunk=1).effects
    return max(relative(right, plain), relative(alone, plain))


def _weight_rows(module: nn.Module) -> Tensor:
    """The weight as [outputs inputs]; GPT-2's Conv1D keeps it the other way."""
    return module.weight if isinstance(module, nn.Linear) else module.weight.T


@torch.no_grad()
def knockout_difference(model: PreTrainedModel) -> float:
    """Zero knockout of two heads against a model whose out projections have those columns zeroed."""
    view = headed(model)
    heads = chosen_heads(model)
    cut = copy.deepcopy(model)
    for layer, head in heads:
        columns = slice(head * view.head_dim, (head + 1) * view.head_dim)
        _weight_rows(headed(cut).out_proj(layer))[:, columns] = 0
    with knockout(view, heads, torch.zeros(view.n_layers, view.n_heads, view.head_dim)):
        knocked = model(IDS).logits
    assert not torch.allclose(knocked, model(IDS).logits, atol=1e-4)
    return relative(knocked, cut(IDS).logits)


def chosen_heads(model: PreTrainedModel) -> list[Head]:
    """Two heads of the last layer that has any, one of the first."""
    layers = headed(model).attention_layers
    return [Head(layers[-1], 1), Head(layers[-1], 4), Head(layers[0], 5)]


@torch.no_grad()
def heads_moved_by(model: PreTrainedModel, layer: int, which: str, unit: int) -> set[int]:
    """The heads of a layer whose z moves when the rows that the layout gives to one head are changed."""
    view = headed(model)

    def outputs() -> Tensor:
        with captured_heads(view) as z:
            view.backbone(IDS, use_cache=False)
        return z[layer].reshape(IDS.numel(), view.n_heads, view.head_dim)

    before = outputs()
    name, rows = view.projection_slice(layer, which, unit)
    weight = _weight_rows(model.get_submodule(name))
    kept = weight[list(rows)].clone()
    # Small, for the heads of Gemma and others are normalised, and not a multiple: some normalise the scale away.
    weight[list(rows)] += 0.3 * torch.randn(kept.shape, generator=torch.Generator().manual_seed(3))
    after = outputs()
    weight[list(rows)] = kept
    moved = (after - before).abs().amax(dim=(0, 2)) > 1e-6
    return {head for head in range(view.n_heads) if moved[head]}


def _step(model: Any, steps: int = 3) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02, weight_decay=0.0)
    for _ in range(steps):
        logits = model(input_ids=IDS).logits[:, :-1].float()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), IDS[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()


def tune_difference(model: PreTrainedModel, projections: str) -> float:
    """Trains head slices; the merged model against the live adapter. Asserts that nothing else moved."""
    view = headed(copy.deepcopy(model))
    slices = head_slices(view, chosen_heads(model), projections)
    live = attach(view, slices)
    assert torch.equal(live(IDS).logits, model(IDS).logits), "an untrained adapter changes nothing"
    _step(live)
    with torch.no_grad():
        adapted = live(IDS).logits
        assert (adapted - model(IDS).logits).abs().max() > 1e-3, "training must have done something"
        merged = live.merge_and_unload(safe_merge=True)
        difference = relative(merged(IDS).logits, adapted)
    assert_only_slices_moved(model, merged, slices)
    return difference


def assert_only_slices_moved(before: PreTrainedModel, after: PreTrainedModel, slices: list[Any]) -> None:
    """Holds every weight outside the slices to what it was, and finds most of those inside changed."""
    masks: dict[str, Tensor] = {}
    for piece in slices:
        module = before.get_submodule(piece.module)
        mask = masks.setdefault(piece.module, torch.zeros(_weight_rows(module).shape, dtype=torch.bool))
        mask[list(piece.indices) if piece.axis == 0 else (slice(None), list(piece.indices))] = True
    for name, parameter in before.named_parameters():
        new = after.get_parameter(name)
        assert new.dtype == parameter.dtype
        owner = name.removesuffix(".weight")
        if owner not in masks:
            assert torch.equal(new, parameter), name
            continue
        module = before.get_submodule(owner)
        moved = (_weight_rows(module) != _weight_rows(after.get_submodule(owner))).cpu()
        assert not (moved & ~masks[owner]).any(), name
        assert moved[masks[owner]].float().mean() > 0.5, name


@contextmanager
def seen_experts(model: PreTrainedModel) -> Iterator[dict[tuple[int, str], list[Tensor]]]:
    """Collects which experts every token is sent to, [token expert], call by call, router by router."""
    seen: dict[tuple[int, str], list[Tensor]] = {}
    with seen_choices(headed(model).routers, lambda key, found: seen.setdefault(key, []).append(found.chosen)):
        yield seen
