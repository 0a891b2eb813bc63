"""What every peer's runner has in common: it answers requests on stdin, so that peers take turns in one run.

Its arguments are the folder of the model and the prompts, and the attention backend to run. Once loaded it says in one
line of JSON which backend the model does run. A request is one line of JSON, `{"heads": [[layer, head], ...]}`; the
answer is one line of JSON with the seconds that what is done once for all heads took, and those that the heads took (of
the wall, and of the processor); their scores: the change of logit(5) - logit(7), averaged over the pairs; and by how
many bytes the process's resident size rose at the most meanwhile.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

UNWANTED, WANTED = 5, 7

Score = Callable[[list[tuple[int, int]], Callable[[], None]], list[float]]
"""Takes heads, and what to call when all is done that is done once for all of them."""


class Loaded(NamedTuple):
    """A model ready to be scored.

    Attributes:
        attention: the backend that its config says it runs.
        score: gives the scores of heads.
    """

    attention: str
    score: Score


def prompts(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """References and counterfactuals, [pair token] each."""
    tensors = load_file(folder / "prompts.safetensors")
    return tensors["reference"], tensors["counterfactual"]


def margin(logits: torch.Tensor) -> torch.Tensor:
    """Metric of the logits of the last position, [pair]."""
    return logits[:, UNWANTED].float() - logits[:, WANTED].float()


def _now() -> dict[str, float]:
    return {"wall": time.perf_counter(), "processor": time.process_time()}


def _between(began: dict[str, float], ended: dict[str, float]) -> dict[str, float]:
    return {clock: ended[clock] - began[clock] for clock in began}


def _resident(key: str) -> int:
    """A field of /proc/self/status, in bytes; -1 where the system has none."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(key)), -1)


def _forget_peak() -> None:
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _answer(score: Score, heads: list[tuple[int, int]]) -> dict[str, Any]:
    _forget_peak()
    before, marks = _resident("VmRSS"), [_now()]
    scores = score(heads, lambda: marks.append(_now()))
    once, each = _between(*marks), _between(marks[-1], _now())
    return {"once": once, "each": each, "scores": scores, "peak": _resident("VmHWM") - before}


def serve(load: Callable[[Path, str], Loaded]) -> None:
    """Loads once, a folder's model with a backend, then answers until stdin ends."""
    answer = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is not an answer
    with torch.no_grad():
        attention, score = load(Path(sys.argv[1]), sys.argv[2])
        print(json.dumps({"attention": attention}), file=answer, flush=True)
        for line in sys.stdin:
            heads = [(layer, head) for layer, head in json.loads(line)["heads"]]
            print(json.dumps(_answer(score, heads)), file=answer, flush=True)
