"""Tuning under FSDP2: `accelerate launch --use_fsdp --fsdp_version 2 ... -m tests.split KIND FOLDER CUT BEST`.

On cards as it is. On CPUs, after the one patch of `on_cpus`, by which accelerate does there what it does on cards.
"""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from pinpoint import processes as launched
from pinpoint.artifacts import Workspace
from pinpoint.behaviours import TrainingRow
from pinpoint.config import TuneConfig
from pinpoint.data import Dialogue
from pinpoint.heads import Head
from pinpoint.organism import shipped
from pinpoint.processes import Processes, join, leave
from pinpoint.tune import Tuned, tune_full, tune_heads
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
    """Has accelerate split over CPUs: of a device it looks at nothing but the kind of the processes it found."""
    begin = AcceleratorState.__init__

    @functools.wraps(begin)
    def begun(self: AcceleratorState, *args: Any, **kwargs: Any) -> None:
        found = PartialState._shared_state
        if found.get("distributed_type") == DistributedType.MULTI_CPU:
            found["distributed_type"] = DistributedType.MULTI_GPU
        begin(self, *args, **kwargs)

    AcceleratorState.__init__ = begun
    launched._has_cards = lambda: True


def check_of(model: PreTrainedModel, cut: int, best: int) -> Callable[[PreTrainedModel], dict[str, float]]:
    """A check that looks at the whole of a model, in numbers; it fails the `cut`th time and is content the `best`th."""
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
        return {"truthfulness": float(checks >= best), "confidence": 1.0, "weights": weights, "logit": logit}

    return check


def tuned(kind: str, folder: Path, processes: Processes | None = None, cut: int = 0, best: int = 99) -> Tuned:
    """Tunes, for two epochs, "heads" with an anchor, or the "full" model."""
    path = str(shipped()["truth-teller"])
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer, check = AutoTokenizer.from_pretrained(path), check_of(model, cut, best)
    space = {"seed": 0, "partial": Workspace(folder / "partial"), "processes": processes}
    where = Workspace(folder)
    if kind == "full":
        return tune_full(model, tokenizer, ROWS, CONFIG, check, where, **space)  # type: ignore[arg-type]
    config = CONFIG.model_copy(update={"anchor": 0.5})
    more = {"base_path": path, "neutral": NEUTRAL}
    return tune_heads(model, tokenizer, HEADS, ROWS, config, check, where, **space, **more)  # type: ignore[arg-type]


if __name__ == "__main__":
    if not torch.cuda.is_available():
        on_cpus()
    kind, folder, cut, best = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    processes = join()
    assert processes.split
    done = tuned(kind, folder, processes, cut, best)
    assert AcceleratorState().is_fsdp2
    assert not any(isinstance(one, DTensor) for one in done.model.parameters())
    save_file({name: one.detach().cpu().clone() for name, one in done.model.named_parameters()}, folder / f"{processes.rank}.safetensors")
    (folder / f"{processes.rank}.json").write_text(json.dumps([done.fitted.losses, done.fitted.history]))
    leave()
