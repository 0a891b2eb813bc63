"""Padding token rows into batches that do not change a score."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

Side = Literal["left", "right"]


class Batch(NamedTuple):
    """Padded rows. `position_ids` count real tokens, so padding does not move them."""

    input_ids: Int[Tensor, "row position"]
    attention_mask: Int[Tensor, "row position"]
    position_ids: Int[Tensor, "row position"]
    last: Int[Tensor, " row"]

    def inputs(self) -> dict[str, Tensor]:
        """Keyword arguments of a model's forward."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "position_ids": self.position_ids,
        }


def pad(rows: Sequence[Sequence[int]], side: Side, device: torch.device, pad_id: int = 0) -> Batch:
    """Pads rows of token ids to one length.

    Args:
        rows: token ids, none empty.
        side: where padding goes.
        device: where the tensors go.
        pad_id: the token to pad with; it is masked, so any will do.
    """
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        columns = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[i, columns] = torch.tensor(row)
        mask[i, columns] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    last = width - 1 - mask.flip(1).argmax(dim=1)
    return Batch(ids.to(device), mask.to(device), positions.to(device), last.to(device))
