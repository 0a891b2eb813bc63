"""How near the sweep comes to the floor: its operations at the rate of a plain forward pass.

The floor counts the tokens that both prompts share once, both ends, the rows of every head through the MLPs above it,
and the answers' logits; and the bytes that must come and go. The efficiency is the floor's time, its operations at the
rate that a plain forward pass of the same model and references reaches in the same run, over the sweep's. Prints a line
for each number of pairs and adds the models and lengths named, or all, to bench/results/locate.json, with what a
profiler says of where the time goes.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pinpoint  # noqa: E402
from bench._profile import profiled  # noqa: E402
from bench._record import Conditions, clock_name, seconds  # noqa: E402
from bench._shapes import BATCH, Shape, forward_flops, make_model, make_pairs, sweep_bytes, sweep_flops  # noqa: E402

MODELS = {
    "8 x 8 (4 groups), d = 256, as yesman": Shape(8, 8, 4, 32, 384, 3072, 0, 0, 0),
    "12 x 12, d = 768": Shape(12, 12, 12, 64, 2048, 32000, 0, 0, 0),
    "24 x 16 (4 groups), d = 1024": Shape(24, 16, 4, 64, 2816, 32000, 0, 0, 0),
}
TOKENS = (64, 256, 1024)
PAIRS = (4, 32, 100)
TIMED = (100, 32, 8, 4, 2, 1)
SHARED = 0.75
MOST = 1.5e11  # operations; a cell of more is timed on fewer pairs, or `make bench` would take hours on a CPU
TURNS, LEAST_SECONDS = 3, 3.0
"""A cell is timed so often, and for so long: three turns of a tenth of a second tell little."""
PROFILED = (256, 4)
AIM = 0.8


def timed_pairs(shape: Shape, most: float) -> int:
    """The pairs that a cell is timed on: its own, or as many as take `most` operations."""
    some = [pairs for pairs in TIMED if pairs <= shape.pairs]
    return next((pairs for pairs in some if sweep_flops(shape._replace(pairs=pairs)) <= most), some[-1])


def measure(model: PreTrainedModel, shape: Shape, *, profile: bool) -> dict[str, Any]:
    """Alternates a forward pass and a sweep, and profiles another sweep where that is asked for."""
    conditions, pairs = Conditions(), make_pairs(shape)
    ids = torch.tensor([pair.reference for pair in pairs])

    def forward() -> None:
        with torch.no_grad():
            for start in range(0, len(ids), BATCH):  # as the sweep batches
                model(input_ids=ids[start : start + BATCH], logits_to_keep=1, use_cache=False)

    def sweep() -> None:
        pinpoint.locate(model, None, pairs, batch_size=BATCH)

    forward()
    times: dict[str, list[float]] = {"forward": [], "sweep": []}
    while len(times["sweep"]) < TURNS or sum(map(sum, times.values())) < LEAST_SECONDS:
        times["forward"].append(seconds(forward))
        times["sweep"].append(seconds(sweep))
    forward_seconds, sweep_seconds = (statistics.median(times[name]) for name in ("forward", "sweep"))
    floor_seconds = sweep_flops(shape) * forward_seconds / forward_flops(shape)
    found: dict[str, Any] = {
        "timed_pairs": shape.pairs,
        "turns": len(times["sweep"]),
        "flop_rate": forward_flops(shape) / forward_seconds,
        "floor_seconds": floor_seconds,
        "sweep_seconds": sweep_seconds,
        "efficiency": floor_seconds / sweep_seconds,
        "forward_passes": sweep_seconds / forward_seconds,
    }
    if profile:
        found["profile"] = profiled(sweep)
    return found | {"machine": conditions.told(), "clock": clock_name()}


def title() -> str:
    """What stands above the columns of `row`."""
    return f"{'model':37} {'tokens':>6} {'pairs':>5} {'floor, s':>9} {'seconds':>9} {'ratio':>6}  aim"


def row(cell: dict[str, Any]) -> str:
    """A cell as a line of a table."""
    own = cell["timed_pairs"] == cell["pairs"]
    verdict = f"timed on {cell['timed_pairs']}" if not own else "held" if cell["held"] else "missed"
    seconds = f"{cell['floor_seconds']:9.3f} {cell['sweep_seconds']:9.3f} {cell['efficiency']:6.2f}"
    return f"{cell['model']:37} {cell['tokens']:6} {cell['pairs']:5} {seconds}  {verdict}"


def cells(model: PreTrainedModel, name: str, tokens: int, most: float) -> list[dict[str, Any]]:
    """Every number of pairs; those that are timed on the same pairs share a measurement."""
    timed: dict[Shape, dict[str, Any]] = {}
    found = []
    for pairs in PAIRS:
        shared = round(SHARED * tokens)
        shape = MODELS[name]._replace(pairs=pairs, shared=shared, after=tokens - shared)
        on = shape._replace(pairs=timed_pairs(shape, most))
        if on not in timed:
            timed[on] = measure(model, on, profile=(tokens, pairs) == PROFILED)
        of = {"model": name, "tokens": tokens, "pairs": pairs}
        floor = {"floor_flops": sweep_flops(shape), "floor_bytes": sweep_bytes(shape)}
        found.append(of | floor | timed[on] | {"held": timed[on]["efficiency"] >= AIM})
        print(row(found[-1]), flush=True)
    return found


def merged(kept: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells of both, in order; of two of the same operations the newer, unless it was timed on fewer pairs."""
    best = {(cell["model"], cell["tokens"], cell["pairs"]): cell for cell in kept}
    for cell in found:
        key = cell["model"], cell["tokens"], cell["pairs"]
        before = best.get(key, cell)
        if cell["floor_flops"] != before["floor_flops"] or cell["timed_pairs"] >= before["timed_pairs"]:
            best[key] = cell
    models = list(MODELS)
    return [best[key] for key in sorted(best, key=lambda key: (models.index(key[0]), key[1:]))]


def main() -> None:
    """Measures models and lengths and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--tokens", nargs="*", type=int, choices=TOKENS, default=TOKENS)
    parser.add_argument("--most", type=float, default=MOST, metavar="OPERATIONS")
    arguments = parser.parse_args()
    path = HERE / "results/locate.json"
    print(title())
    for name in arguments.models:
        model = make_model(MODELS[name])
        for tokens in arguments.tokens:
            found = cells(model, name, tokens, arguments.most)
            kept = json.loads(path.read_text("utf-8"))["cells"] if path.exists() else []
            record = {
                "command": "python bench/locate.py",
                "shared": SHARED,
                "least_turns": TURNS,
                "least_seconds": LEAST_SECONDS,
                "aim": AIM,
                "most_flops": MOST,
                "profiled": PROFILED,
                "wanted": [f"{model}, {length} tokens" for model in MODELS for length in TOKENS],
                "cells": merged(kept, found),
            }
            path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
