"""Peak memory of locating, ours and other libraries', beside that of a plain forward pass of the same model.

Each library runs in a process of its own, in the environments of bench/peers.py, with eager attention. What is counted
is the weights, once, and the most that the process's resident size rises by while heads are scored a second time;
malloc hands back at once what is freed, so that this is what is in use. A library that runs a forward pass a head is
given a few heads, spread over the layers: what it holds does not grow with their number. Beside the shapes of
bench/peers.py there are two on as many pairs as a pass of the sweep takes, where weights hide least. Adds the shapes
named, or the first of those two and the smallest, to results/peers_memory.json.
"""

import argparse
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._asked import HANDING_BACK  # noqa: E402
from bench._record import Conditions  # noqa: E402
from bench._shapes import BATCH, Shape  # noqa: E402
from bench.peers import ATTENTION, EVERYONE, OURS, SHAPES, Worker, Workers, save  # noqa: E402

HEADS = 2
BATCHED = {
    f"8 x 8 (4 groups), d = 256, T = 64, {BATCH} pairs": Shape(8, 8, 4, 32, 384, 3072, BATCH, 1, 63),
    f"8 x 8 (4 groups), d = 256, T = 256, 75 % shared, {BATCH} pairs": Shape(8, 8, 4, 32, 384, 3072, BATCH, 192, 64),
}
MEASURED = {name: (shape, peers) for name, (shape, peers, _) in SHAPES.items()} | {
    name: (shape, EVERYONE) for name, shape in BATCHED.items()
}
SOME = (next(iter(BATCHED)), "8 x 8 (4 groups), d = 256, T = 64")
PLAIN = "plain"


def peak(worker: Worker, folder: Path, heads: list[tuple[int, int]]) -> int:
    """Bytes that one of them holds at the most beside the weights."""
    worker.load(folder, ATTENTION[0])
    worker.score(heads[:1])
    found: int = worker.score(heads)["peak"]
    return found


def measure(shape: Shape, peers: tuple[str, ...], workers: Workers) -> dict[str, Any]:
    """Everybody's peak, and over a plain forward pass's."""
    conditions = Conditions()
    every = [(layer, head) for layer in range(shape.layers) for head in range(shape.heads)]
    heads = every[:: len(every) // HEADS][:HEADS]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save(shape, folder)
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors") if file.stem != "prompts")
        names = (PLAIN, OURS, *peers)
        with ThreadPoolExecutor(max_workers=2) as two:  # memory is not timed
            found = dict(zip(names, two.map(lambda name: peak(workers.of(name), folder, heads), names), strict=True))
    plain = found.pop(PLAIN)
    over = {name: (weights + more) / (weights + plain) for name, more in found.items()}
    counted = {"weights": weights, "plain": plain, "beside": found, "over_plain": over}
    return {"pairs": shape.pairs} | counted | {"machine": conditions.told()}


def main() -> None:
    """Measures shapes and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, default=HERE.parent / ".bench")
    parser.add_argument("shapes", nargs="*", default=SOME)
    arguments = parser.parse_args()
    os.environ |= HANDING_BACK
    path = HERE / "results/peers_memory.json"
    found = json.loads(path.read_text("utf-8"))["shapes"] if path.exists() else {}
    workers = Workers(arguments.environments)
    for name in arguments.shapes:
        found[name] = measure(*MEASURED[name], workers)
        print(name, json.dumps(found[name]), file=sys.stderr)
        record = {
            "command": "python bench/peers_memory.py",
            "shapes": {label: found[label] for label in MEASURED if label in found},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    workers.close()


if __name__ == "__main__":
    main()
