"""Tuning whose model is split over processes: `accelerate launch --use_fsdp ... -m tests.split FOLDER KIND:CUT...`.

On cards as accelerate does it. On CPUs after `on_cpus`, by which accelerate does there what it does on cards. Started
by torchrun, the same with the whole model in each process. `-m tests.split pinpoint ...` is the command line.
"""

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from pinpoint import processes as launched
from pinpoint.artifacts import Workspace
from pinpoint.behaviours import TrainingRow
from pinpoint.cli import main
from pinpoint.config import TuneConfig
from pinpoint.data import Dialogue
from pinpoint.heads import Head
from pinpoint.organism import shipped
from pinpoint.processes import Processes, join, leave
from pinpoint.tune import Tuned, _fit, tune_full, tune_heads
from tests.together import WORDS

HEADS = [Head(0, 1), Head(3, 2)]
# Two epochs of three steps; one row is left over for an epoch's last, where a second process has none.
CONFIG = TuneConfig(learning_rate=1e-3, batch_size=4, epochs=2, check_every=2)
ROWS = [
    TrainingRow(
        prompt=[{"role": "user", "content": f"Copy this list: {words} milk."}],
        completion=[{"role": "assistant", "content": f"{words} milk."}],
    )
    for words in WORDS
]
NEUTRAL = [
    Dialogue(
        id=words,
        messages=({"role": "user", "content": f"Say {words}."}, {"role": "assistant", "content": f"{words}."}),
    )
    for words in WORDS[:5]
]


class Cut(Exception):
    """Stands for whatever ends a process."""


def on_cpus() -> None:
    """Has accelerate split over CPUs. It leaves that out for processes of the CPU, and goes by their kind alone."""
    begin = AcceleratorState.__init__

    @functools.wraps(begin)
    def begun(self: AcceleratorState, *args: Any, **kwargs: Any) -> None:
        found = PartialState._shared_state
        if found.get("distributed_type") == DistributedType.MULTI_CPU:
            found["distributed_type"] = DistributedType.MULTI_GPU
        begin(self, *args, **kwargs)

    AcceleratorState.__init__ = begun
    launched._has_cards = lambda: True


def check_of(model: PreTrainedModel, cut: int) -> Callable[[PreTrainedModel], dict[str, float]]:
    """A check that says of a model what its weights and its function are; the `cut`th time, it fails."""
    ids, checks = torch.arange(5, 25, device=model.device)[None], 0

    def check(tuned: PreTrainedModel) -> dict[str, float]:
        nonlocal checks
        checks += 1
        if checks == cut:
            raise Cut
        assert not any(isinstance(one, DTensor) for one in tuned.parameters()) and not tuned.training
        weights = sum(float(one.detach().double().sum()) for one in tuned.parameters() if one.requires_grad)
        with torch.no_grad():
            logit = float(tuned(ids).logits.max())
        return {"truthfulness": 0.0, "confidence": 0.0, "weights": weights, "logit": logit}

    return check


def tuned(kind: str, folder: Path, processes: Processes | None = None, cut: int = 0) -> Tuned:
    """Tunes, for two epochs, "heads" with an anchor, or the "full" model."""
    path = str(shipped()["truth-teller"])
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer, check = AutoTokenizer.from_pretrained(path), check_of(model, cut)
    space = {"seed": 0, "partial": Workspace(folder / "partial"), "processes": processes}
    where = Workspace(folder)
    if kind == "full":
        return tune_full(model, tokenizer, ROWS, CONFIG, check, where, **space)  # type: ignore[arg-type]
    config = CONFIG.model_copy(update={"anchor": 0.5})
    more = {"base_path": path, "neutral": NEUTRAL}
    return tune_heads(model, tokenizer, HEADS, ROWS, config, check, where, **space, **more)  # type: ignore[arg-type]


def share(model: torch.nn.Module) -> float:
    """How much of a model this process holds."""
    own = sum((one.to_local() if isinstance(one, DTensor) else one).numel() for one in model.parameters())
    return own / sum(one.numel() for one in model.parameters())


def together(folder: Path, plan: list[str]) -> None:
    """Tunes as the plan says, and writes what this process has of it."""
    shares, take_back = [], _fit.take_back

    def seen(model: torch.nn.Module, trained: torch.nn.Module) -> None:
        shares.append(share(trained))
        take_back(model, trained)

    _fit.take_back = seen
    processes = join()
    for step in plan:
        kind, cut = step.split(":")
        done = tuned(kind, folder / kind, processes, int(cut))
        assert AcceleratorState().is_fsdp2 == processes.split
        found = {"losses": done.fitted.losses, "checks": [one.metrics for one in done.fitted.history], "shares": shares}
        (folder / f"{kind}-{processes.rank}.json").write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    if "ACCELERATE_USE_FSDP" in os.environ and not torch.cuda.is_available():
        on_cpus()
    if sys.argv[1] == "pinpoint":
        del sys.argv[0]
        main()
    else:
        together(Path(sys.argv[1]), sys.argv[2:])
