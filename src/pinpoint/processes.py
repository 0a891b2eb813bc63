"""Several processes that run one command together, as `torchrun` and `accelerate launch` start them.

Every process holds the model; where FSDP2 splits what is trained, a part of that beside it. The first one leads: it
alone reads and writes the run folder, and tells the others what to take part in. Numbers pass between them as tensors
and JSON over gloo, on GPUs too: they are small, and who waits for another burns no GPU.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pinpoint.errors import ConfigError, PinpointError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup

# A process waits for as long as the first one evaluates; one that is gone is noticed by its closed connection.
_PATIENCE = timedelta(days=30)
_TO_TELL = timedelta(seconds=5)
_GONE = "another of the {count} processes of this command failed or was killed."
_MEND = "What came before this tells why; the same command goes on from what is finished."

# Set by `accelerate launch`, also through a configuration file that the user may have forgotten.
_OTHERS = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism config",
}
# What FSDP2 was tried with.
_TRIED = {
    "ACCELERATE_MIXED_PRECISION": "no",
    "ACCELERATE_DYNAMO_BACKEND": "no",
    "FSDP_OFFLOAD_PARAMS": "false",
    "FSDP_ACTIVATION_CHECKPOINTING": "false",
}
# Left on, all processes but the first would load a model without weights; checkpoints are of one kind, and pass away.
_CHOSEN = {"FSDP_CPU_RAM_EFFICIENT_LOADING": "false", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"}


class ProcessLost(PinpointError):
    """Another process of this command ended before its work was done."""


def launched() -> int:
    """How many processes the launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def splits() -> bool:
    """Whether the launcher is set to split the model that is trained over the processes, by torch's FSDP2.

    Raises:
        ConfigError: it is set to split a model in a way that is not supported.
    """
    for variable, what in _OTHERS.items():
        if _is_on(variable):
            raise ConfigError(
                f"{what} is not supported: it splits a model over processes in its own way.",
                where=f"accelerate launch ({variable})",
                mend="Launch with torchrun, or turn it off in accelerate's settings; docs/scale.md says what fits.",
            )
    if not _is_on("ACCELERATE_USE_FSDP"):
        return False
    for variable, wrong, what, mend in _faults_of_fsdp():
        if wrong:
            raise ConfigError(what, where=f"accelerate launch ({variable})", mend=mend)
    return True


def _faults_of_fsdp() -> Iterator[tuple[str, bool, str, str]]:
    """What may be wrong with FSDP as it was asked for: where, whether it is, what, and how to mend it."""
    asked = "ACCELERATE_USE_FSDP"
    old = os.environ.get("FSDP_VERSION", "1") != "2"
    yield asked, old, "version 1 of FSDP is not supported.", "Set --fsdp_version 2, or launch with torchrun."
    silent = "without CUDA devices, accelerate leaves FSDP out and does not say so."
    yield asked, not _has_cards(), silent, "Launch with torchrun."
    alone = "FSDP splits a model over processes, and one was started."
    yield asked, launched() == 1, alone, "Start several, or turn it off."
    for variable, wanted in _TRIED.items():
        found = os.environ.get(variable, wanted)
        untried = f"{found!r} is not supported with FSDP."
        yield variable, found.lower() != wanted, untried, f"Set it to {wanted!r}, or launch with torchrun."


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"


def _has_cards() -> bool:
    import torch

    return torch.cuda.is_available()


@dataclass(frozen=True)
class Processes:
    """The processes of a command, seen from one of them; alone by default.

    Every method is called by all of them, in the same order.

    Attributes:
        rank: the number of this process.
        count: how many there are.
        group: what they talk over.
        split: whether the model that is trained is split over them, instead of being whole in each.
    """

    rank: int = 0
    count: int = 1
    group: "ProcessGroup | None" = None
    split: bool = field(default=False, kw_only=True)

    @property
    def first(self) -> bool:
        """Whether this is the process that reads, writes and prints."""
        return self.rank == 0

    @property
    def beside(self) -> int:
        """How many of them share this machine's memory, this one among them; all, where the launcher does not tell."""
        return min(self.count, int(os.environ.get("LOCAL_WORLD_SIZE", self.count)))

    def from_first(self, value: Any) -> Any:
        """The JSON value that the first process gives; what the others give is not looked at.

        Raises:
            ProcessLost: another process ended.
        """
        if self.count == 1:
            return value
        import torch

        text = json.dumps(value).encode() if self.first else b""
        size = self.from_process(0, torch.tensor([len(text)]))
        data = torch.frombuffer(bytearray(text), dtype=torch.uint8) if self.first else None
        data = torch.empty(int(size), dtype=torch.uint8) if data is None else data
        return json.loads(bytes(self.from_process(0, data).tolist()))

    def from_process(self, owner: int, tensor: "Tensor") -> "Tensor":
        """The tensor that process `owner` gives; the others give one of its shape and dtype, which is filled.

        Raises:
            ProcessLost: another process ended.
        """
        if self.count == 1:
            return tensor
        from torch.distributed import broadcast

        with self.noticing():
            broadcast(tensor, src=owner, group=self.group)
        return tensor

    def meet(self) -> None:
        """Waits until every process has come here.

        Raises:
            ProcessLost: another process ended.
        """
        if self.count == 1:
            return
        from torch.distributed import barrier

        with self.noticing():
            barrier(group=self.group)

    def share_of(self, total: int, what: str) -> int:
        """What falls to each process of something that has to come out even.

        Raises:
            ConfigError: it does not.
        """
        if total % self.count:
            raise ConfigError(
                f"{total} cannot be dealt evenly to {self.count} processes.",
                where=what,
                mend=f"Give a multiple of {self.count}, or start another number of processes.",
            )
        return total // self.count

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Tells that another process ended where the block fails for it.

        Raises:
            ProcessLost: it did.
        """
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _of_another(error):
                raise
            raise ProcessLost(_GONE.format(count=self.count), mend=_MEND) from error


def _of_another(error: RuntimeError) -> bool:
    """Whether an error came over the wire. Gloo's have no class of their own."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo" in str(error).lower()


_joined = Processes()
_telling = threading.Lock()


def current() -> Processes:
    """The processes that this one has joined; itself alone before `join`."""
    return _joined


def join(tell: Callable[[str], None] | None = None) -> Processes:
    """Meets the other processes that the launcher started; alone without a launcher.

    Args:
        tell: says why this process ends when the launcher stops it, as launchers do once another has failed; None
            leaves the signal alone.

    Raises:
        ConfigError: the launcher is set to split a model in a way that is not supported.
        ProcessLost: another process ended meanwhile.
    """
    global _joined
    if split := splits():
        os.environ.update(_CHOSEN)
    if launched() == 1 or _joined.count > 1:
        return _joined
    if tell is not None:
        _stop_when_told(tell)
    import torch
    from accelerate import PartialState
    from torch.distributed import new_group

    with Processes(count=launched()).noticing():
        state = PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
        group = new_group(backend="gloo", timeout=_PATIENCE)
    _joined = Processes(state.process_index, state.num_processes, group, split=split)
    return _joined


def leave() -> None:
    """Parts from the others, when all are done."""
    global _joined
    if _joined.count > 1:
        from torch.distributed import destroy_process_group

        _joined = Processes()
        destroy_process_group()


def tell_once(error: str, tell: Callable[[str], None]) -> None:
    """Tells of an error unless another process of this command has told of one: one message is shown, not one each."""
    with _telling:
        if _first_to_tell():
            tell(error)


def _first_to_tell() -> bool:
    if launched() == 1:
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        counter = TCPStore(host, port, is_master=False, timeout=_TO_TELL, wait_for_workers=False)
        callers: int = counter.add(f"pinpoint/told/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1)
        return callers == 1
    except RuntimeError:
        return True  # whoever kept count is gone


def _stop_when_told(tell: Callable[[str], None]) -> None:
    """Ends the process at once on SIGTERM.

    Python runs a signal's handler between steps of the main thread, which may be waiting for a process that is gone;
    the signal's number reaches the pipe whatever the main thread does.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(reader, 1)[0] != signal.SIGTERM:
            pass
        tell_once(str(ProcessLost(_GONE.format(count=launched()), mend=_MEND)), tell)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
