"""Where rows in flight wait while others run: on the device, or in the host's memory where they would crowd it."""

import torch

from pinpoint.memory import free

_SHARE = 0.5
"""Of a device's free memory; the rest is for a block's weights, and for the rows that run through it."""


def waiting_room(device: torch.device, needed: int) -> torch.device:
    """Where rows wait between two blocks.

    Rows are copied to the host and back, as they are: where they wait changes no score. What they take grows with pairs
    times heads of all layers; fewer pairs at once would have every block fetched more often.

    Args:
        device: that they run on.
        needed: bytes of all rows.
    """
    left = free(device) if device.type == "cuda" else None
    return device if left is None or needed <= _SHARE * left else torch.device("cpu")
