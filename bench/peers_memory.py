"""Peak memory of locating, ours and other libraries', beside that of a plain forward pass of the same model.

Each runs in a process of its own, in the environments of bench/peers.py, with the system's own settings of malloc; the
peak is the process's largest resident size since the model was loaded, less its size before that. A library that runs
a forward pass a head is given a few heads, spread over the layers: what it holds does not grow with their number.
Writes bench/results/peers_memory.json.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402

from bench._shapes import Shape  # noqa: E402
from bench.peers import PEERS, SHAPES, Worker, environment, save  # noqa: E402

HEADS = 4


def peak(script: str, python: str, folder: Path, heads: list[tuple[int, int]]) -> int:
    """Bytes that one of them holds at the most, weights included."""
    worker = Worker(script, python, folder)
    worker.score(heads)
    found: int = worker.score(heads)["peak"]
    worker.close()
    return found


def measure(shape: Shape, peers: tuple[str, ...], environments: Path) -> dict[str, Any]:
    """Everybody's peak, and over a plain forward pass's."""
    every = [(layer, head) for layer in range(shape.layers) for head in range(shape.heads)]
    heads = every[:: len(every) // HEADS][:HEADS]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save(shape, folder)
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors") if file.stem != "prompts")
        found = {name: peak(f"{name}.py", sys.executable, folder, heads) for name in ("plain", "pinpoint_sweep")}
        for peer in peers:
            script, requirement = PEERS[peer]
            found[peer] = peak(script, environment(environments, requirement), folder, heads)
    plain = found["plain"]
    return {
        "weights": weights,
        "plain": plain,
        "over_plain": {name: bytes_ / plain for name, bytes_ in found.items() if name != "plain"},
    }


def main() -> None:
    """Measures every shape of bench/peers.py, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=HERE.parent / ".bench")
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    arguments = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        del os.environ[name]
    found = {}
    for name in arguments.shapes:
        shape, peers, _ = SHAPES[name]
        found[name] = measure(shape, peers, arguments.environments)
        print(name, json.dumps(found[name]), file=sys.stderr)
    record = {
        "command": shlex.join(["python", "bench/peers_memory.py", *(() if len(found) == len(SHAPES) else found)]),
        "machine": f"{platform.machine()}, CPU, {torch.get_num_threads()} threads, float32",
        "shapes": found,
    }
    (HERE / "results/peers_memory.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
