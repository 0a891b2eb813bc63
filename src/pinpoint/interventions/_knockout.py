"""Knocking heads out: their outputs z are replaced while a model runs."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.errors import ArchitectureError
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions._hooks import edited_inputs, removing, seen_inputs
from pinpoint.models import HeadedModel


@contextmanager
def knockout(view: HeadedModel, heads: Iterable[Head], values: Float[Tensor, "layer head d_head"]) -> Iterator[None]:
    """Replaces the outputs z of `heads` by fixed values at every position, prompt and generated.

    Args:
        view: the model.
        heads: the heads to knock out; none leaves the model as it is.
        values: what each head puts out instead; zeros, or means over neutral dialogues.

    Raises:
        InputError: a head lies outside the model.
        ArchitectureError: the model ran, and did not call the out projection of a layer: nothing was replaced there.
    """
    chosen = HeadSet(heads)
    view.check(chosen)
    by_layer = chosen.by_layer()
    instead: dict[int, tuple[Tensor, Tensor]] = {}  # per layer [head 1] and [head d_head], where the layer computes

    def edit(layer: int, z: Tensor) -> Tensor:
        heads = z.unflatten(-1, (view.n_heads, view.head_dim))  # [batch position head d_head]
        # Moved once, not for every token: the host would have to wait for a GPU each time.
        if layer not in instead or instead[layer][1].device != z.device or instead[layer][1].dtype != z.dtype:
            out = torch.zeros(view.n_heads, 1, dtype=torch.bool)
            out[by_layer[layer]] = True
            instead[layer] = out.to(z.device), values[layer].to(z)
        return torch.where(*instead[layer], heads).flatten(-2)

    with _reaching(view, by_layer, edit):
        yield


@contextmanager
def resample(view: HeadedModel, heads: Iterable[Head], source: dict[int, Tensor], positions: Tensor) -> Iterator[None]:
    """Replaces the outputs z of `heads` by those of another prompt, on prompt positions only.

    Args:
        view: the model.
        heads: the heads to resample.
        source: per layer, [batch position head*d_head]: z on the other, left-padded prompt, on any device.
        positions: [batch position] bool, which positions of the left-padded prompt take the other's values;
            both prompts are aligned at their last position.

    Raises:
        InputError: a head lies outside the model.
        ArchitectureError: as `knockout`.
    """
    chosen = HeadSet(heads)
    view.check(chosen)
    by_layer = chosen.by_layer()
    width = view.head_dim

    def edit(layer: int, z: Tensor) -> Tensor:
        if z.shape[1] != positions.shape[1]:  # a generated token: the prompt is over
            return z
        z = z.clone()
        aligned = torch.zeros_like(z)
        span = min(z.shape[1], source[layer].shape[1])
        aligned[:, -span:] = source[layer][:, -span:]
        taken = positions[..., None].to(z.device)
        for head in by_layer[layer]:
            columns = slice(head * width, (head + 1) * width)
            z[..., columns] = torch.where(taken, aligned[..., columns], z[..., columns])
        return z

    with _reaching(view, by_layer, edit):
        yield


@contextmanager
def _reaching(view: HeadedModel, layers: Iterable[int], edit: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Edits what enters the out projections of `layers`, and sees to it that all were called where the model ran."""
    ran, reached = set(), set()

    def counted(layer: int, z: Tensor) -> Tensor:
        reached.add(layer)
        return edit(layer, z)

    modules = {layer: view.out_proj(layer) for layer in layers}
    with edited_inputs(modules, counted), removing([view.backbone.register_forward_hook(lambda *_: ran.add(True))]):
        yield
    if ran and (missed := sorted(modules.keys() - reached)):
        raise ArchitectureError(
            "the model ran and did not call the out projection of its heads: nothing was knocked out there.",
            where=f"{type(view.model).__name__}, layers {', '.join(map(str, missed))}",
            mend="Its layout names a module that it does not use: see docs/new-architectures.md.",
        )


@contextmanager
def captured_heads(view: HeadedModel) -> Iterator[dict[int, Tensor]]:
    """Collects the heads' outputs z of each layer that has any, [batch position head*d_head], as the model runs."""
    seen: dict[int, Tensor] = {}

    def see(layer: int, z: Tensor) -> None:
        seen[layer] = z.detach()

    with seen_inputs(view.out_projs(), see):
        yield seen
