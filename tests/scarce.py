"""What runs out: memory, in a module of a real model that is given too many rows; a disk, in a small file system."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
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


@contextmanager
def small_file_system(place: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes; skips the test where none may be mounted."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        # Lazily: an error that is still held may hold a file of it open.
        subprocess.run(["umount", "--lazy", str(place)], check=True)
