"""Running the lower blocks of a model alone, and the upper ones on what the lower put out before."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pinpoint.interventions._hooks import removing
from pinpoint.interventions._supply import supplied
from pinpoint.models import HeadedModel


class Below:
    """The blocks below one of a model.

    Masks, position embeddings and whatever else blocks are given come from the model's own forward on the tokens at
    hand, in both uses.

    Args:
        view: the model.
        layer: the lowest block that is not one of them, at least 1.
    """

    def __init__(self, view: HeadedModel, layer: int) -> None:
        self._view, self._layer = view, layer
        self._beside: int | None = None  # what a block puts out beside the residual stream; None: no tuple

    @torch.no_grad()
    def run(self, **inputs: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs these blocks and no other.

        Args:
            inputs: of the backbone.

        Returns:
            The residual stream that leaves them, [batch position d_model], and the logits of their routers, where the
            inputs ask for them and there are any.
        """
        seen: list[Any] = []
        last = self._view.layers[self._layer - 1]
        hook = last.register_forward_hook(lambda _module, _args, output: seen.append(output))
        above = range(self._layer, self._view.n_layers)
        with removing([hook]), _standing_in(self._view, above, lambda *_args, **_kwargs: seen[-1]):
            routers = getattr(self._view.backbone(**inputs, use_cache=False), "router_logits", None)
        self._beside = len(seen[-1]) - 1 if isinstance(seen[-1], tuple) else None
        states = seen[-1] if self._beside is None else seen[-1][0]
        return states, tuple(routers or ())

    @contextmanager
    def skipped(self, states: Tensor, routers: Iterable[Tensor] = ()) -> Iterator[None]:
        """Skips these blocks: `states` enters the lowest of the others. To be used after `run`.

        Args:
            states: [batch position d_model].
            routers: logits of the routers of these blocks, to be put before those of the others.
        """
        output = states if self._beside is None else (states, *[None] * self._beside)
        handles = []
        if before := tuple(routers):
            handles.append(self._view.backbone.register_forward_hook(_with_routers(before)))
        with removing(handles), skipped_below(self._view, self._layer, output):
            yield


@contextmanager
def skipped_below(view: HeadedModel, layer: int, output: object) -> Iterator[None]:
    """Skips the blocks below one: `output`, in the form in which blocks of this model put it out, enters it."""
    with _standing_in(view, range(layer), lambda *_args, **_kwargs: output):
        yield


@contextmanager
def _standing_in(view: HeadedModel, layers: Iterable[int], forward: Callable[..., object]) -> Iterator[None]:
    with ExitStack() as stack:
        for layer in layers:
            stack.enter_context(supplied(view.model, f"{view.layout.layers}.{layer}", forward))
        yield


def _with_routers(before: tuple[Tensor, ...]) -> Callable[[nn.Module, tuple[Any, ...], Any], Any]:
    def edited(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        output.router_logits = (*before, *output.router_logits)
        return output

    return edited
