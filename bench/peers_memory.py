"""Peak memory of locating, ours and other libraries', beside that of a plain forward pass of the same model.

Each runs in a process of its own, in the environments of bench/peers.py, with eager attention. What is counted is the
weights, once, and the most that the process's resident size rises by while heads are scored a second time; malloc hands
back at once what is freed, so that this is what is in use. A library that runs a forward pass a head is given a few
heads, spread over the layers: what it holds does not grow with their number. Adds the shapes named, or all, to
results/peers_memory.json.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions  # noqa: E402
from bench._shapes import Shape  # noqa: E402
from bench.peers import ATTENTION, PEERS, SHAPES, Worker, environment, save  # noqa: E402

HEADS = 4
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "0"}
MALLOC |= {"MALLOC_MMAP_MAX_": "1000000"}


def peak(script: str, python: str, folder: Path, heads: list[tuple[int, int]]) -> int:
    """Bytes that one of them holds at the most beside the weights."""
    worker = Worker(script, python, folder, ATTENTION[0])
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
    plain = found.pop("plain")
    over = {name: (weights + more) / (weights + plain) for name, more in found.items()}
    return {"weights": weights, "plain": plain, "beside": found, "over_plain": over}


def main() -> None:
    """Measures every shape of bench/peers.py, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=HERE.parent / ".bench")
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    arguments = parser.parse_args()
    os.environ |= MALLOC
    path = HERE / "results/peers_memory.json"
    found = json.loads(path.read_text("utf-8"))["shapes"] if path.exists() else {}
    conditions = Conditions()
    for name in arguments.shapes:
        shape, peers, _ = SHAPES[name]
        found[name] = measure(shape, peers, arguments.environments)
        print(name, json.dumps(found[name]), file=sys.stderr)
        record = {
            "command": "python bench/peers_memory.py",
            "machine": conditions.told(),
            "shapes": {label: found[label] for label in SHAPES if label in found},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
