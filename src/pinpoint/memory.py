"""How much is computed at once: more on a GPU that has room for it, half as much each time memory runs out.

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
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import psutil

from pinpoint.errors import OutOfMemory, PinpointWarning

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_MMAP_THRESHOLD = -3  # of mallopt(3)
_GROWN = 4
"""Times the size asked for that a batch grows to: it is kept whole, and so what a stage that is stopped does over."""
_SHARE = 0.5
"""Of the memory that is free, what a batch of twice the size may take by what the one before it took."""
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


class Gauge(NamedTuple):
    """What is known of the memory of a GPU, in bytes.

    Attributes:
        held: by tensors now.
        most: by tensors at once, since `gauges` was last told to count anew.
        left: that tensors may still take.
    """

    held: int
    most: int
    left: int


_earlier: dict[int, int] = {}
"""The most that tensors held on each GPU before it was last counted anew."""


def _gpus() -> list[int]:
    torch = sys.modules.get("torch")
    return list(range(torch.cuda.device_count())) if torch is not None and torch.cuda.is_initialized() else []


def gauges(*, anew: bool = False) -> list[Gauge]:
    """Of each GPU that holds tensors of this process; none where no GPU does.

    Args:
        anew: from here on, `Gauge.most` is counted from what is held now.
    """
    found = []
    for number in _gpus():
        import torch

        if held := torch.cuda.memory_allocated(number):
            most = torch.cuda.max_memory_allocated(number)
            found.append(Gauge(held, most, free(torch.device("cuda", number)) or 0))
            if anew:
                _earlier[number] = max(most, _earlier.get(number, 0))
                torch.cuda.reset_peak_memory_stats(number)
    return found


def most_on(device: "torch.device") -> int:
    """The most bytes that tensors held on a GPU at once, since `forget_most` was called for it."""
    import torch

    number = torch.cuda.current_device() if device.index is None else device.index
    return max(int(torch.cuda.max_memory_allocated(number)), _earlier.get(number, 0))


def forget_most(device: "torch.device") -> None:
    """Starts `most_on` over."""
    import torch

    number = torch.cuda.current_device() if device.index is None else device.index
    torch.cuda.reset_peak_memory_stats(number)
    _earlier.pop(number, None)


def peak() -> int | None:
    """The most memory that this process has held, in bytes: a GPU's if it uses one. None where no one tells."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return most_on(torch.device("cuda"))
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
    """How many items are computed at once: what was asked for to begin with, and what fits from there on.

    On a GPU a batch that left room for one of twice the size is followed by one, up to four times what was asked for.
    Memory alone decides, and no clock: the same work on the same card goes in the same batches when it is done again.
    On a CPU batches do not grow. What is free there depends on what else the machine does, numbers are promised to the
    last bit, and other batches round otherwise.

    Args:
        size: what was asked for, at least 1.
        setting: its name, for messages.

    Attributes:
        asked: what was asked for.
        now: what fits, as far as is known; a batch begins with it.
        most: what a batch may grow to; no more than what fits, once memory has run out.
        setting: its name.
    """

    def __init__(self, size: int, setting: str = "batch_size") -> None:
        self.asked = self.now = size
        self.most = _GROWN * size
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
        self.most = tried // 2
        self.now = min(self.now, self.most)
        warnings.warn(
            f"memory ran out with {tried} at once ({self.setting}); going on with {self.most}.",
            PinpointWarning,
            stacklevel=4,
        )

    def over(
        self,
        items: Sequence[Item],
        work: Callable[[Sequence[Item]], Result],
        weigh: Callable[[Item], int] = lambda item: 1,
        remembered: Callable[[Result, int, int], int] = lambda _result, _now, proposed: proposed,
    ) -> Iterator[tuple[Sequence[Item], Result]]:
        """Batches of `items` in order, each with what `work` made of it. A batch that does not fit is halved.

        Args:
            items: what there is to do.
            work: is called with a batch, and with its first half again where memory ran out; must leave nothing
                behind that a second call would count twice.
            weigh: what an item counts for; an item of more than the batch size is a batch by itself.
            remembered: gives the size of the next batch, from what `work` made of the one before it, its size, and what
                is proposed: where batches are kept, a stage that goes on must meet those that it kept.

        Raises:
            OutOfMemory: a single item does not fit.
        """
        start, size = 0, self.now
        while start < len(items):
            totals = accumulate(weigh(item) for item in items[start : start + size])
            some = items[start : start + max(1, sum(total <= size for total in totals))]
            weight, before = sum(map(weigh, some)), gauges(anew=True)
            try:
                result = work(some)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                self.halve(error, weight if len(some) > 1 else 1)
                size = self.most
            else:
                start += len(some)
                size = min(remembered(result, size, self._grown(size, weight, before)), self.most)
                yield some, result
                continue
            release()

    def _grown(self, size: int, weight: int, before: Sequence[Gauge]) -> int:
        """The size of the batch after one of `weight` that began with `before`; a GPU that it left room on tells."""
        after = gauges()
        if len(before) != len(after) or 2 * size > self.most:
            return size
        room = [
            (now.most - was.held) * 2 * size <= _SHARE * now.left * weight
            for was, now in zip(before, after, strict=True)
        ]
        return 2 * size if room and all(room) else size
