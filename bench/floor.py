"""How near the sweep comes to the floor: operations that it cannot do without, at the rate of a plain forward pass.

The floor counts the tokens that both prompts share once, both ends, the rows of every head through the MLPs above it,
and the answers' logits. The efficiency is the sweep's rate of such operations over that of a plain forward pass of the
same model and references, in the same run. Writes bench/results/floor.json.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pinpoint  # noqa: E402
from bench._shapes import Shape, forward_flops, make_model, make_pairs, sweep_flops  # noqa: E402

MODELS = {
    "8 x 8 (4 groups), d = 256, as yesman": Shape(8, 8, 4, 32, 384, 3072, 0, 0, 0),
    "12 x 12, d = 768": Shape(12, 12, 12, 64, 2048, 32000, 0, 0, 0),
    "24 x 16 (4 groups), d = 1024": Shape(24, 16, 4, 64, 2816, 32000, 0, 0, 0),
}
TOKENS = (64, 256, 1024)
PAIRS = (4, 32, 100)
SHARED = 0.75
MOST = 6e11  # operations; beyond, a cell takes minutes on a CPU
TURNS = 3


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(shape: Shape) -> dict[str, Any]:
    """Alternates a forward pass and a sweep."""
    model, pairs = make_model(shape), make_pairs(shape)
    ids = torch.tensor([pair.reference for pair in pairs])

    def forward() -> None:
        with torch.no_grad():
            for start in range(0, len(ids), 32):  # as the sweep batches
                model(input_ids=ids[start : start + 32], logits_to_keep=1, use_cache=False)

    def sweep() -> None:
        pinpoint.locate(model, None, pairs)

    forward()
    times: dict[str, list[float]] = {"forward": [], "sweep": []}
    for _ in range(TURNS):
        times["forward"].append(_seconds(forward))
        times["sweep"].append(_seconds(sweep))
    forward_seconds, sweep_seconds = (statistics.median(times[name]) for name in ("forward", "sweep"))
    floor = sweep_flops(shape)
    rate = forward_flops(shape) / forward_seconds
    return {
        "tokens": shape.tokens,
        "pairs": shape.pairs,
        "floor_flops": floor,
        "floor_seconds": floor / rate,
        "sweep_seconds": sweep_seconds,
        "efficiency": floor / rate / sweep_seconds,
        "forward_passes": sweep_seconds / forward_seconds,
    }


def main() -> None:
    """Measures every shape that fits and writes the record."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, model in MODELS.items():
        found[name] = []
        for tokens in TOKENS:
            for pairs in PAIRS:
                shared = round(SHARED * tokens)
                shape = model._replace(pairs=pairs, shared=shared, after=tokens - shared)
                if sweep_flops(shape) > MOST:
                    continue
                found[name].append(measure(shape))
                print(name, found[name][-1], flush=True)
    record = {
        "command": "python bench/floor.py",
        "machine": f"{platform.machine()}, CPU, {torch.get_num_threads()} threads, float32",
        "shared": SHARED,
        "turns": TURNS,
        "most_flops": MOST,
        "models": found,
    }
    (HERE / "results/floor.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
