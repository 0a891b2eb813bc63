"""Memory that runs out: a module of a real model that asks for more than there is once its input has too many rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Told:
    """What the modules were given, row counts in order, the refused ones too."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.refused = 0


@contextmanager
def scarce(module: nn.Module, rows: int, kind: str = "cpu", after: int = 0) -> Iterator[Told]:
    """Lets `module` work on so many rows at the most; the first `after` calls may have any number."""
    told = Told()

    def ask(_module: nn.Module, given: tuple[Any, ...]) -> None:
        told.rows.append(len(given[0]))
        if len(given[0]) > rows and len(told.rows) > after:
            told.refused += 1
            if kind == "cuda":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            if kind == "mps":
                raise RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB).")
            torch.empty(1 << 60, dtype=torch.uint8)

    handle = module.register_forward_pre_hook(ask)
    try:
        yield told
    finally:
        handle.remove()
