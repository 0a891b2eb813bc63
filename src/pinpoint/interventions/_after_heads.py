"""Running a prompt once, and then, in as many rows as wanted, only what follows the heads of one layer."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.interventions._below import skipped_below
from pinpoint.interventions._hooks import seen_inputs, seen_whole_outputs
from pinpoint.interventions._supply import attention_supplied
from pinpoint.models import HeadedModel


class AfterHeads:
    """A prompt that was run once, and goes on from the heads of any layer.

    Masks, position embeddings and whatever else blocks are given come from the model's own forward.

    Args:
        view: the model.
        ids: the prompt's tokens.

    Attributes:
        z: per layer that has heads, [1 position head*d_head]: what they put out.
    """

    def __init__(self, view: HeadedModel, ids: Sequence[int]) -> None:
        self._view, self._ids = view, torch.tensor([ids], device=view.device)
        self._left: dict[int, Any] = {}  # what each block but the last puts out, in its own form
        self.z: dict[int, Tensor] = {}
        blocks = dict(enumerate(view.layers[:-1]))
        with seen_inputs(view.out_projs(), self._see_heads), seen_whole_outputs(blocks, self._see_block):
            view.backbone(**self._inputs(1), use_cache=False)

    def run(self, layer: int, z: Float[Tensor, "row position head*d_head"]) -> Float[Tensor, "row position d_model"]:
        """Runs what follows the heads of a layer, and gives what the backbone puts out.

        Args:
            layer: the layer; what comes before its out projection is not computed again.
            z: what its heads put out in each row.
        """
        view, rows = self._view, len(z)
        attention = view.out_proj(layer)(z)
        entering = _in_rows(self._left.get(layer - 1), rows)
        with skipped_below(view, layer, entering), attention_supplied(view, layer, attention):
            output: Tensor = view.backbone(**self._inputs(rows), use_cache=False).last_hidden_state
        return output

    def _inputs(self, rows: int) -> dict[str, Tensor]:
        ids = self._ids.expand(rows, -1)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def _see_heads(self, layer: int, z: Tensor) -> None:
        self.z[layer] = z.detach()

    def _see_block(self, layer: int, output: Any) -> None:
        # A copy: the next block may add to it in place, as Falcon's do.
        self._left[layer] = _in_rows(output, 1)


def _in_rows(output: Any, rows: int) -> Any:
    """What a block put out of one prompt, the residual stream once for each row; nothing beside it."""
    if isinstance(output, tuple):
        return (_in_rows(output[0], rows), *[None] * (len(output) - 1))
    return None if output is None else output.repeat(rows, 1, 1)
