"""What every peer's runner has in common: it answers requests on stdin, so that peers take turns in one run.

A request is one line of JSON, `{"heads": [[layer, head], ...]}`; the answer is one line of JSON with the seconds
that scoring those heads took and their scores: the change of logit(5) - logit(7), averaged over the pairs.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

UNWANTED, WANTED = 5, 7

Score = Callable[[list[tuple[int, int]]], list[float]]


def prompts(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """References and counterfactuals, [pair token] each."""
    tensors = load_file(folder / "prompts.safetensors")
    return tensors["reference"], tensors["counterfactual"]


def margin(logits: torch.Tensor) -> torch.Tensor:
    """Metric of the logits of the last position, [pair]."""
    return logits[:, UNWANTED].float() - logits[:, WANTED].float()


def serve(load: Callable[[Path], Score]) -> None:
    """Loads once, then answers until stdin ends."""
    answer = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is not an answer
    with torch.no_grad():
        score = load(Path(sys.argv[1]))
        print("ready", file=answer, flush=True)
        for line in sys.stdin:
            heads = [(layer, head) for layer, head in json.loads(line)["heads"]]
            began = time.perf_counter()
            scores = score(heads)
            seconds = time.perf_counter() - began
            print(json.dumps({"seconds": seconds, "scores": scores}), file=answer, flush=True)
