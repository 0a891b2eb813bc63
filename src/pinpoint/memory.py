"""How much is computed at once: half as much each time memory runs out, from there on.

Accelerate knows the errors and clears the caches; its `find_executable_batch_size` starts a function over, where what
is done here is kept.
"""

import ctypes
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import psutil

from pinpoint.errors import OutOfMemory, PinpointWarning

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_MMAP_THRESHOLD = -3  # of mallopt(3)
MEND = "Use a device with more memory, --dtype bfloat16 or shorter dialogues; `pinpoint check` tells what it takes."


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a device, or of the machine, is spent."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    from accelerate.utils.memory import should_reduce_batch_size

    # torch says so in other words on Windows, and its own class need not end its sentence where accelerate looks.
    return (
        type(error).__name__ == "OutOfMemoryError"
        or should_reduce_batch_size(error)
        or "DefaultCPUAllocator: not enough memory" in str(error)
    )


def peak() -> int | None:
    """The most memory that this process has held, in bytes: a GPU's if it uses one. None where no one tells."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free(device: "torch.device") -> int | None:
    """Bytes that a device has left for this process; None where no one tells."""
    import torch

    if device.type == "cuda":
        # What the allocator holds and does not use is handed out again.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + kept)
    if device.type == "mps":
        # The driver's count would have in it what is kept to be handed out again.
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    if device.type != "cpu":
        return None
    return min([int(psutil.virtual_memory().available), *_left_in_container()])


def _left_in_container(root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Bytes left below the limit of a container, if there is one: the machine's memory is not all the process's."""
    try:
        limit, used = ((root / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        statistics = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return
    if limit != "max":
        # Files that no one is reading are counted as used, and given up when memory is wanted.
        yield int(limit) - int(used) + int(statistics.get("inactive_file", 0))


def release() -> None:
    """Hands back what a failed computation held; outside its `except`, where no frame holds on to tensors."""
    from accelerate.utils.memory import clear_device_cache

    clear_device_cache(garbage_collection=True)


@cache
def _c_library() -> ctypes.CDLL | None:
    """The C library of this process where it can hand memory back: glibc's."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None


def hand_back() -> None:
    """Gives freed memory of the host back to the system: glibc keeps weights that come and go, many times a block."""
    if library := _c_library():
        library.malloc_trim(0)


@contextmanager
def handing_back() -> Iterator[None]:
    """Has freed memory of the host go back to the system at once, for the length of the block, as far as it is large.

    Left alone, glibc keeps it for what comes next, which may not fit the holes that there are.
    """
    library = _c_library()
    try:
        if library:
            library.mallopt(_MMAP_THRESHOLD, 1 << 18)
        yield
    finally:
        if library:
            # What it comes to by itself in a process that frees large tensors.
            library.mallopt(_MMAP_THRESHOLD, 1 << 25)


@contextmanager
def told_when_out_of_memory(doing: str = "", mend: str = "") -> Iterator[None]:
    """Turns running out of memory into an error that says what to do: `mend`, and what always helps.

    Raises:
        OutOfMemory: memory ran out in the block.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(f"memory ran out {doing}".strip() + ".", mend=f"{mend} {MEND}".strip()) from error


class BatchSize:
    """How many items are computed at once.

    Args:
        size: what was asked for, at least 1.
        setting: its name, for messages.

    Attributes:
        asked: what was asked for.
        now: what fits, as far as is known.
        setting: its name.
    """

    def __init__(self, size: int, setting: str = "batch_size") -> None:
        self.asked = self.now = size
        self.setting = setting

    @classmethod
    def of(cls, size: "int | BatchSize", setting: str = "batch_size") -> "BatchSize":
        """A number as a batch size; one that is shared stays so."""
        return size if isinstance(size, BatchSize) else cls(size, setting)

    def halve(self, error: BaseException, tried: int) -> None:
        """Goes on with half of `tried`, and warns.

        Raises:
            OutOfMemory: `tried` is 1 already.
        """
        if tried <= 1:
            alone = "" if self.now == 1 else ", on one item alone"
            raise OutOfMemory(f"memory ran out with {self.setting} at {self.now}{alone}.", mend=MEND) from error
        self.now = tried // 2
        warnings.warn(
            f"memory ran out with {tried} at once ({self.setting}); going on with {self.now}.",
            PinpointWarning,
            stacklevel=4,
        )

    def over(
        self,
        items: Sequence[Item],
        work: Callable[[Sequence[Item]], Result],
        weigh: Callable[[Item], int] = lambda item: 1,
    ) -> Iterator[tuple[Sequence[Item], Result]]:
        """Batches of `items` in order, each with what `work` made of it. A batch that does not fit is halved.

        Args:
            items: what there is to do.
            work: is called with a batch, and with its first half again where memory ran out; must leave nothing
                behind that a second call would count twice.
            weigh: what an item counts for; an item of more than the batch size is a batch by itself.

        Raises:
            OutOfMemory: a single item does not fit.
        """
        start = 0
        while start < len(items):
            totals = accumulate(weigh(item) for item in items[start : start + self.now])
            some = items[start : start + max(1, sum(total <= self.now for total in totals))]
            try:
                result = work(some)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                self.halve(error, sum(map(weigh, some)) if len(some) > 1 else 1)
            else:
                start += len(some)
                yield some, result
                continue
            release()
