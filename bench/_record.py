"""What a record says of where it was made: the processor, threads, versions, date, and what else was running."""

import datetime
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from pinpoint.pipeline._environment import processor


def _busy() -> float:
    """Seconds that all cores have worked since the machine was started."""
    times = psutil.cpu_times()
    # What is stolen by other guests of the same host is not this machine's to give either.
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))


def worked() -> float:
    """Seconds that this process has worked, and the processes that it started."""
    times = os.times()
    running = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    ended = times.children_user + times.children_system
    return times.user + times.system + ended + sum(one.user + one.system for one in running)


class Conditions:
    """The conditions of a benchmark, from when this is made until `told`."""

    def __init__(self) -> None:
        self._began, self._busy, self._worked = time.perf_counter(), _busy(), worked()

    @property
    def busy(self) -> float:
        """Seconds that all cores have worked."""
        return _busy() - self._busy

    @property
    def worked(self) -> float:
        """Seconds of them that were this process's, and those of processes that it started."""
        return worked() - self._worked

    @property
    def others(self) -> float:
        """The share of all cores' time that other processes have taken."""
        room = (os.cpu_count() or 1) * (time.perf_counter() - self._began)
        return min(1.0, max(0.0, self.busy - self.worked) / room)

    def told(self, dtype: str = "float32") -> str:
        """One line for a record; `dtype` is what was computed in."""
        threads = torch.get_num_threads()
        machine = (
            f"{processor()} ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()}), "
            f"{threads} thread{'s' if threads > 1 else ''} on {os.cpu_count()} cores, {dtype}"
        )
        libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
        day = datetime.datetime.now(datetime.UTC).date()
        others = f"other processes took {100 * self.others:.0f} % of the cores meanwhile"
        made = "; ".join(filter(None, (str(day), commit() and f"commit {commit()}", others)))
        return f"{machine}; Python {platform.python_version()}, {libraries}; {made}"


def clock() -> Callable[[], float]:
    """Seconds for ratios: the processor's own on one thread, which other jobs hardly touch; of the wall on several."""
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def clock_name() -> str:
    """Which of the two `clock` gives, for a record."""
    return "processor" if torch.get_num_threads() == 1 else "wall"


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes, by `clock`."""
    now = clock()
    began = now()
    work()
    return now() - began


def commit() -> str:
    """The commit that is measured, and whether code differs from it; empty outside a checkout."""
    told = _git("rev-parse", "--short=12", "HEAD")
    # Records of the same session differ as a matter of course.
    return f"{told}-dirty" if _git("status", "--porcelain", "--", "src", "bench", ":!bench/results") else told


def _git(*asked: str) -> str:
    home = str(Path(__file__).resolve().parent.parent)
    return subprocess.run(["git", "-C", home, *asked], capture_output=True, text=True, check=False).stdout.strip()
