"""The devices at hand: how much memory they have, and how fast they multiply."""

import time
from typing import NamedTuple

import psutil
import torch

from pinpoint.models import pick_device

_SIDE = 1024
_LONGEST = 0.2


class Device(NamedTuple):
    """A device and its memory."""

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
            properties = torch.cuda.get_device_properties(i)
            found.append(Device(f"cuda:{i} ({properties.name})", torch.device("cuda", i), properties.total_memory))
    if torch.backends.mps.is_available():
        # Of the memory that it shares with the CPU, what Metal lets a process have.
        found.append(Device("mps", torch.device("mps"), torch.mps.recommended_max_memory()))
    found.append(Device("cpu", torch.device("cpu"), psutil.virtual_memory().total))
    if asked == "auto":
        return found
    wanted = torch.device(pick_device(asked))
    return [
        one
        for one in found
        if one.device.type == wanted.type and (None in (wanted.index, one.device.index) or wanted == one.device)
    ]


def flop_rate(device: Device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a square matrix product, measured for a fraction of a second."""
    a = torch.ones(_SIDE, _SIDE, device=device.device, dtype=dtype)
    products, began = 0, time.perf_counter()
    a @ a
    began = time.perf_counter()
    while time.perf_counter() - began < _LONGEST:
        a @ a
        products += 1
        if device.device.type == "cuda":
            torch.cuda.synchronize(device.device)
        elif device.device.type == "mps":
            torch.mps.synchronize()
    return products * 2 * _SIDE**3 / (time.perf_counter() - began)
