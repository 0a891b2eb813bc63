"""The devices at hand: how much memory they have, and how fast they multiply."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from pinpoint.memory import free
from pinpoint.models import pick_device

_SIDE = 1024
_LONGEST = 0.2


class Device(NamedTuple):
    """A device, and the bytes that it has left for this process: of a container, below its limit."""

    name: str
    device: torch.device
    bytes: int


def devices(asked: str = "auto") -> list[Device]:
    """The devices that a run could use: every GPU, Apple's among them, and the CPU, or the one asked for.

    Raises:
        InputError: this machine has no such device.
    """
    found = []
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            found.append(_left(f"cuda:{i} ({torch.cuda.get_device_properties(i).name})", torch.device("cuda", i)))
    if torch.backends.mps.is_available():
        found.append(_left("mps", torch.device("mps")))
    found.append(_left("cpu", torch.device("cpu")))
    if asked == "auto":
        return found
    wanted = torch.device(pick_device(asked))
    return [
        one
        for one in found
        if one.device.type == wanted.type and (None in (wanted.index, one.device.index) or wanted == one.device)
    ]


def _left(name: str, device: torch.device) -> Device:
    return Device(name, device, free(device) or 0)


def flop_rate(device: Device, dtype: torch.dtype, now: Callable[[], float] = time.perf_counter) -> float:
    """Floating-point operations a second of a square matrix product, measured for a fraction of a second by `now`."""
    a = torch.ones(_SIDE, _SIDE, device=device.device, dtype=dtype)

    def product() -> None:
        a @ a
        if device.device.type == "cuda":
            torch.cuda.synchronize(device.device)
        elif device.device.type == "mps":
            torch.mps.synchronize()

    began = now()
    product()
    products, took = 1, now() - began
    # The first warms up; in half precision a CPU may take seconds for it, and then it is enough.
    if took < _LONGEST:
        products, began = 0, now()
        while (took := now() - began) < _LONGEST:
            product()
            products += 1
    return products * 2 * _SIDE**3 / took
