"""Path patching beside other libraries: the same weights, prompts and dtype, taking turns in one run.

Each library runs in a virtual environment of its own, below --environments, made there if it is missing, and all run
the same attention backend, which each says it does: eager unless --attention says otherwise, since TransformerLens and
pyvene read heads off it; with another, those two are left out. A library that needs a forward pass per head is timed on
a sample of the heads, spread over the layers, and its time for all of them is extrapolated from that of the sample;
scores are compared on the sample. Adds the shapes named, or those that do not take long, to bench/results/peers.json;
what other peers had before on a shape stays, each beside our time of its own run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._asked import Asked  # noqa: E402
from bench._record import Conditions, clock_name  # noqa: E402
from bench._shapes import Shape, forward_flops, make_model, make_pairs, sweep_flops  # noqa: E402
from pinpoint.organism import shipped  # noqa: E402

ATTENTION = ("eager", "sdpa")
EAGER_ALONE = ("TransformerLens 4.3.0", "pyvene 0.1.8")
OURS = "pinpoint_sweep"
PEERS = {
    "hooked transformers": ("hooked_transformers.py", None),
    "TransformerLens 4.3.0": ("lens.py", "transformer-lens==4.3.0"),
    "nnsight 0.8.1": ("nnsight_trace.py", "nnsight==0.8.1"),
    "pyvene 0.1.8": ("pyvene_units.py", "pyvene==0.1.8"),
}
EVERYONE = tuple(PEERS)
# The last number: heads that a peer is timed on in each turn, others each time. One where a pass takes long: every head
# takes a peer the same pass.
SHAPES = {
    "8 x 8 (4 groups), d = 256, T = 64": (Shape(8, 8, 4, 32, 384, 3072, 4, 1, 63), EVERYONE, 3),
    "8 x 16, d = 512, T = 128": (Shape(8, 16, 4, 32, 1376, 4096, 2, 1, 127), EVERYONE, 1),
    "12 x 12, d = 768, T = 64": (Shape(12, 12, 12, 64, 2048, 4096, 2, 1, 63), EVERYONE[:3], 1),
    "12 x 12, d = 768, T = 256": (Shape(12, 12, 12, 64, 2048, 4096, 1, 1, 255), EVERYONE[:3], 1),
    "12 x 12, d = 768, T = 256, 95 % shared": (Shape(12, 12, 12, 64, 2048, 4096, 2, 243, 13), EVERYONE[:3], 1),
    "24 x 16 (4 groups), d = 1024, T = 64": (Shape(24, 16, 4, 64, 2816, 4096, 1, 1, 63), EVERYONE[:3], 1),
    "24 x 16 (4 groups), d = 1024, T = 256, 95 % shared": (
        Shape(24, 16, 4, 64, 2816, 4096, 2, 243, 13),
        EVERYONE[:1],
        1,
    ),
    "24 x 16 (4 groups), d = 1024, T = 1024, 95 % shared": (
        Shape(24, 16, 4, 64, 2816, 4096, 1, 973, 51),
        EVERYONE[:1],
        1,
    ),
}
BY_NAME = (
    "8 x 16, d = 512, T = 128",
    "12 x 12, d = 768, T = 64",
    "24 x 16 (4 groups), d = 1024, T = 1024, 95 % shared",
)


class Worker:
    """A library in a process of its own."""

    def __init__(self, script: str, python: str) -> None:
        self._script = script
        self._process = Asked([python, str(HERE / "peers" / script)])

    def load(self, folder: Path, attention: str) -> None:
        """Loads a folder's model and prompts in place of those before."""
        runs = self._process.ask(folder=str(folder), attention=attention)["attention"]
        if runs != attention:
            raise SystemExit(f"{self._script} runs {runs} attention, not {attention}")

    def score(self, heads: list[tuple[int, int]], *, anew: bool = True) -> dict[str, Any]:
        """Seconds and scores of these heads; `anew` has it do again what is done once for all heads."""
        return self._process.ask(heads=heads, anew=anew)

    def close(self) -> None:
        """Ends the process."""
        self._process.close()


def environment(folder: Path, requirement: str | None) -> str:
    """The Python that has the library."""
    if requirement is None:
        return sys.executable
    home = folder / requirement.split("==")[0]
    python, whole = home / "bin" / "python", home / "whole"
    if not whole.exists():  # pip may have been stopped half-way
        venv.create(home, with_pip=True, clear=True)
        constraints = str(HERE.parent / "constraints.txt")
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", constraints, "torch", requirement], check=True)
        whole.touch()
    return str(python)


def save(shape: Shape, folder: Path) -> None:
    """The model, a tokenizer for the libraries that want one, and the prompts."""
    make_model(shape).save_pretrained(folder)
    PreTrainedTokenizerFast.from_pretrained(shipped()["yesman"]).save_pretrained(folder)
    pairs = make_pairs(shape)
    prompts = {
        "reference": torch.tensor([pair.reference for pair in pairs]),
        "counterfactual": torch.tensor([pair.counterfactual for pair in pairs]),
    }
    save_file(prompts, folder / "prompts.safetensors")


class Workers:
    """A process for each library, started when it is first asked for."""

    def __init__(self, environments: Path) -> None:
        self._environments = environments
        self._running: dict[str, Worker] = {}

    def of(self, name: str) -> Worker:
        """That of one library, `OURS` or one of `PEERS`."""
        if name not in self._running:
            script, requirement = PEERS.get(name, (f"{name}.py", None))
            self._running[name] = Worker(script, environment(self._environments, requirement))
        return self._running[name]

    def close(self) -> None:
        """Ends them."""
        for worker in self._running.values():
            worker.close()


def measure(
    shape: Shape, peers: tuple[str, ...], sample: int, turns: int, workers: Workers, attention: str
) -> dict[str, Any]:
    """Everybody in turn, `turns` times, on other heads each time.

    What a library does once for all heads is timed as it warms up; ours scores all heads whichever are asked for.
    """
    conditions = Conditions()
    every = [(layer, head) for layer in range(shape.layers) for head in range(shape.heads)]
    step = len(every) / (sample * turns)
    heads = [every[int(step * (i + 0.5))] for i in range(sample * turns)]
    names = (OURS, *peers)
    times: dict[str, list[float]] = {name: [] for name in names}
    scores: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        save(shape, Path(scratch))
        with ThreadPoolExecutor(max_workers=2) as two:  # loading is not timed
            list(two.map(lambda name: workers.of(name).load(Path(scratch), attention), names))
        once = {name: workers.of(name).score(heads[:1])["once"][clock_name()] for name in names}
        for turn in range(turns):
            for name in names:
                answer = workers.of(name).score(heads[turn::turns], anew=False)
                took = answer["each"][clock_name()]
                times[name].append(took if name == OURS else once[name] + took * len(every) / sample)
                scores[name] += answer["scores"]
                print(f"turn {turn + 1}, {name}: {times[name][-1]:.2f} s for all heads", file=sys.stderr)
    how = {"sampled_heads": len(heads), "turns": turns, "clock": clock_name(), "machine": conditions.told()}
    found = summary(shape, times, scores)
    found["peers"] = {name: row | how for name, row in found["peers"].items()}
    return found | {"attention": attention}


def summary(shape: Shape, times: dict[str, list[float]], scores: dict[str, list[float]]) -> dict[str, Any]:
    """Ratios of medians, the agreement of scores, and the ratio that operations predict."""
    median = {name: statistics.median(several) for name, several in times.items()}
    ours = torch.tensor(scores[OURS])
    predicted = forward_flops(shape, shape.layers * shape.heads + 2) / sweep_flops(shape)
    peers = {}
    for name in times:
        if name != OURS:
            ratio = median[name] / median[OURS]
            difference = float((torch.tensor(scores[name]) - ours).abs().max() / ours.abs().max())
            peers[name] = {
                "ratio": ratio,
                "of_predicted": ratio / predicted,
                "difference": difference,
                "seconds": median[name],
                "our_seconds": median[OURS],
            }
    return {"shape": shape._asdict(), "shared": shape.shared / shape.tokens, "predicted": predicted, "peers": peers}


def merged(before: dict[str, Any] | None, found: dict[str, Any]) -> dict[str, Any]:
    """The row of a shape: peers that were not run again stay, unless the shape or the attention is another now."""
    if before is None or any(before[key] != found[key] for key in ("shape", "attention")):
        return found
    peers = before["peers"] | found["peers"]
    return found | {"peers": {name: peers[name] for name in PEERS if name in peers}}


def main() -> None:
    """Measures shapes and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=[name for name in SHAPES if name not in BY_NAME])
    parser.add_argument("--peers", nargs="+", choices=PEERS, help="these alone, whether or not a shape has them else")
    parser.add_argument("--environments", type=Path, default=HERE.parent / ".bench")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--attention", choices=ATTENTION, default=ATTENTION[0])
    arguments = parser.parse_args()
    if arguments.attention != "eager" and set(arguments.peers or ()) & set(EAGER_ALONE):
        parser.error(f"{' and '.join(EAGER_ALONE)} read heads off eager attention alone")
    path, workers = HERE / "results/peers.json", Workers(arguments.environments)
    for name in arguments.shapes:
        print(name, file=sys.stderr)
        shape, peers, sample = SHAPES[name]
        peers = tuple(arguments.peers or peers)
        peers = tuple(peer for peer in peers if arguments.attention == "eager" or peer not in EAGER_ALONE)
        found = measure(shape, peers, sample, arguments.turns, workers, arguments.attention)
        kept = json.loads(path.read_text("utf-8"))["shapes"] if path.exists() else {}
        kept[name] = merged(kept.get(name), found)
        print(json.dumps(kept[name], indent=1))
        record = {
            "command": "python bench/peers.py",
            "shapes": {label: kept[label] for label in SHAPES if label in kept},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    workers.close()


if __name__ == "__main__":
    main()
