"""The most memory that a block holds: its own, not that of what came before it or comes after."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pinpoint.memory import gauges
from pinpoint.peak_memory import PeakMemory

MIB = 1 << 20
CPU = torch.device("cpu")


def peak_of(mib: int, own: Path, after: int = 0) -> PeakMemory:
    with PeakMemory(CPU, own) as held:
        block = np.ones(mib * MIB, dtype=np.uint8)
        if held.counted == "samples":
            held._done.wait(0.1)
        del block
        held.stop()
        np.ones(after * MIB, dtype=np.uint8).sum()
    return held


@pytest.mark.parametrize(
    "counted",
    [
        pytest.param("process", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux alone counts anew")),
        "samples",
    ],
)
def test_a_block_s_peak_is_its_own_whatever_was_held_before_and_after(counted: str, tmp_path: Path) -> None:
    own = Path("/proc/self") if counted == "process" else tmp_path / "of no system"
    large, small = peak_of(300, own), peak_of(20, own, after=300)
    assert large.counted == small.counted == counted
    assert large.bytes - small.bytes > 200 * MIB
    assert small.bytes > 20 * MIB


def test_a_kernel_that_does_not_say_the_most_is_not_relied_on(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t10 kB\n")
    with PeakMemory(CPU, tmp_path) as held:
        pass
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert held.counted == "samples" and held.bytes > MIB


def test_batches_that_count_anew_in_a_block_do_not_hide_what_a_gpu_held_before(monkeypatch: pytest.MonkeyPatch) -> None:
    most = [70]
    told = {
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "memory_allocated": lambda *_: 5,
        "memory_reserved": lambda *_: 5,
        "mem_get_info": lambda *_: (100, 100),
        "max_memory_allocated": lambda *_: most[-1],
        "reset_peak_memory_stats": lambda *_: most.append(5),
    }
    for name, stands_in in told.items():
        monkeypatch.setattr(torch.cuda, name, stands_in)
    for highest in (90, 30):
        with PeakMemory(torch.device("cuda")) as held:
            most.append(highest)
            gauges(anew=True)
            most.append(20)
        assert (held.counted, held.bytes) == ("device", highest)
