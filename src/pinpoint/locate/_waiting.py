"""Where rows in flight wait while others run: on the device, or in the host's memory where they would crowd it."""

import torch

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
    if device.type != "cuda":
        return device
    # What torch holds of the device and has no use for is free as well.
    free = torch.cuda.mem_get_info(device)[0]
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return device if needed <= _SHARE * free else torch.device("cpu")
