"""The most memory that is held while something runs."""

import gc
import threading
from pathlib import Path
from typing import Literal

import psutil
import torch

from pinpoint.memory import forget_most, hand_back, most_on

Counted = Literal["device", "process", "samples"]
_SECONDS = 0.02


class PeakMemory:
    """Measures the most memory that a GPU's tensors, or this process, hold in a block, or until `stop`.

    What was freed before is handed back first, so that it does not count.

    Args:
        device: where the block computes.
        own: where Linux tells of this process, and lets it be counted anew.

    Attributes:
        bytes: the most; 0 until it is known.
        counted: "device" for tensors on a GPU; "process" for all that the process held, as the kernel counted it;
            "samples" for the largest of its sizes, taken fifty times a second, where no kernel counts.
    """

    def __init__(self, device: torch.device, own: Path = Path("/proc/self")) -> None:
        self.bytes = 0
        self.counted: Counted = "samples"
        self._device, self._own, self._done = device, own, threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        gc.collect()
        if self._device.type == "cuda":
            self.counted = "device"
            forget_most(self._device)
            return self
        hand_back()
        if self._reset():
            self.counted = "process"
        else:
            self._sampler.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the measurement; what is held from now on does not count."""
        if self._done.is_set():
            return
        self._done.set()
        if self.counted == "device":
            self.bytes = most_on(self._device)
        elif self.counted == "process":
            self.bytes = self._most()
        else:
            self._sampler.join()

    def _reset(self) -> bool:
        """Has the kernel count from now on; not every system does, nor allows it."""
        try:
            (self._own / "clear_refs").write_text("5")
            return self._most() > 0
        except OSError:
            return False

    def _most(self) -> int:
        lines = (self._own / "status").read_text().splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.bytes = max(self.bytes, process.memory_info().rss)
            if self._done.wait(_SECONDS):
                return
