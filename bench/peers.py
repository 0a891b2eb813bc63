"""Path patching beside other libraries: the same weights, prompts and dtype, taking turns in one run.

Each library runs in a virtual environment of its own, below --environments, made there if it is missing, and all run
the same attention backend, which each says it does: eager unless --attention says otherwise, since TransformerLens and
pyvene read heads off it; with another, those two are left out. A library that needs a forward pass per head is timed on
a sample of the heads, spread over the layers, and its time for all of them is extrapolated from that of the sample;
scores are compared on the sample. Adds the shapes named, or all, to bench/results/peers.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import IO, Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions, clock_name  # noqa: E402
from bench._shapes import Shape, forward_flops, make_model, make_pairs, sweep_flops  # noqa: E402
from pinpoint.organism import shipped  # noqa: E402

ATTENTION = ("eager", "sdpa")
EAGER_ALONE = ("TransformerLens 4.3.0", "pyvene 0.1.8")
PEERS = {
    "hooked transformers": ("hooked_transformers.py", None),
    "TransformerLens 4.3.0": ("lens.py", "transformer-lens==4.3.0"),
    "nnsight 0.8.1": ("nnsight_trace.py", "nnsight==0.8.1"),
    "pyvene 0.1.8": ("pyvene_units.py", "pyvene==0.1.8"),
}
EVERYONE = tuple(PEERS)
# The last number: heads that a peer is timed on in each turn. Few pairs and heads where a pass takes seconds: every
# head takes a peer the same pass.
SHAPES = {
    "8 x 8 (4 groups), d = 256, T = 64": (Shape(8, 8, 4, 32, 384, 3072, 4, 1, 63), EVERYONE, 8),
    "8 x 16, d = 512, T = 128": (Shape(8, 16, 4, 32, 1376, 4096, 4, 1, 127), EVERYONE, 4),
    "12 x 12, d = 768, T = 64": (Shape(12, 12, 12, 64, 2048, 4096, 4, 1, 63), EVERYONE[:3], 3),
    "12 x 12, d = 768, T = 256": (Shape(12, 12, 12, 64, 2048, 4096, 2, 1, 255), EVERYONE[:3], 3),
    "12 x 12, d = 768, T = 256, 95 % shared": (Shape(12, 12, 12, 64, 2048, 4096, 2, 243, 13), EVERYONE[:3], 3),
    "24 x 16 (4 groups), d = 1024, T = 64": (Shape(24, 16, 4, 64, 2816, 4096, 2, 1, 63), EVERYONE[:3], 3),
    "24 x 16 (4 groups), d = 1024, T = 256, 95 % shared": (
        Shape(24, 16, 4, 64, 2816, 4096, 2, 243, 13),
        EVERYONE[:1],
        3,
    ),
}


class Worker:
    """A library in a process of its own."""

    def __init__(self, script: str, python: str, folder: Path, attention: str) -> None:
        self._process = subprocess.Popen(
            [python, str(HERE / "peers" / script), str(folder), attention],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in: IO[str] = self._process.stdin
        self._out: IO[str] = self._process.stdout
        # Some libraries greet on stdout.
        ready = next((line for line in iter(self._out.readline, "") if line.startswith('{"attention": ')), None)
        if ready is None:
            raise SystemExit(f"{script} did not start")
        if (runs := json.loads(ready)["attention"]) != attention:
            raise SystemExit(f"{script} runs {runs} attention, not {attention}")

    def score(self, heads: list[tuple[int, int]]) -> dict[str, Any]:
        """Seconds and scores of these heads."""
        self._in.write(json.dumps({"heads": heads}) + "\n")
        self._in.flush()
        line = self._out.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._in.close()
        self._process.wait()


def environment(folder: Path, requirement: str | None) -> str:
    """The Python that has the library."""
    if requirement is None:
        return sys.executable
    home = folder / requirement.split("==")[0]
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        constraints = str(HERE.parent / "constraints.txt")
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", constraints, "torch", requirement], check=True)
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


def measure(
    shape: Shape, peers: tuple[str, ...], sample: int, turns: int, environments: Path, attention: str
) -> dict[str, Any]:
    """Everybody in turn, `turns` times."""
    every = [(layer, head) for layer in range(shape.layers) for head in range(shape.heads)]
    step = len(every) / sample
    heads = [every[int(step * (i + 0.5))] for i in range(sample)]
    with tempfile.TemporaryDirectory() as scratch:
        save(shape, Path(scratch))
        workers = {"pinpoint": Worker("pinpoint_sweep.py", sys.executable, Path(scratch), attention)}
        for peer in peers:
            script, requirement = PEERS[peer]
            workers[peer] = Worker(script, environment(environments, requirement), Path(scratch), attention)
        for worker in workers.values():
            worker.score(heads[:1])
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
        for turn in range(turns):
            for name, worker in workers.items():
                answer = worker.score(heads)
                once, each = answer["once"][clock_name()], answer["each"][clock_name()]
                answer["seconds"] = once + each * (1 if name == "pinpoint" else len(every) / sample)
                answers[name].append(answer)
                print(f"turn {turn + 1}, {name}: {answer['seconds']:.2f} s for all heads", file=sys.stderr)
        for worker in workers.values():
            worker.close()
    return summary(shape, answers) | {"sampled_heads": sample}


def summary(shape: Shape, answers: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Ratios of medians, the agreement of scores, and the ratio that operations predict."""
    median = {name: statistics.median(one["seconds"] for one in some) for name, some in answers.items()}
    scores = {name: torch.tensor(some[-1]["scores"]) for name, some in answers.items()}
    largest = scores["pinpoint"].abs().max()
    predicted = forward_flops(shape, shape.layers * shape.heads + 2) / sweep_flops(shape)
    peers = {}
    for name in answers:
        if name != "pinpoint":
            ratio = median[name] / median["pinpoint"]
            difference = float((scores[name] - scores["pinpoint"]).abs().max() / largest)
            peers[name] = {"ratio": ratio, "of_predicted": ratio / predicted, "difference": difference}
    return {"shape": shape._asdict(), "shared": shape.shared / shape.tokens, "predicted": predicted, "peers": peers}


def main() -> None:
    """Measures every shape, or those named, and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--environments", type=Path, default=HERE.parent / ".bench")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--attention", choices=ATTENTION, default=ATTENTION[0])
    arguments = parser.parse_args()
    path = HERE / "results/peers.json"
    for name in arguments.shapes:
        print(name, file=sys.stderr)
        shape, peers, sample = SHAPES[name]
        peers = tuple(peer for peer in peers if arguments.attention == "eager" or peer not in EAGER_ALONE)
        conditions = Conditions()
        found = measure(shape, peers, sample, arguments.turns, arguments.environments, arguments.attention)
        how = {"attention": arguments.attention, "turns": arguments.turns, "clock": clock_name()}
        kept = json.loads(path.read_text("utf-8"))["shapes"] if path.exists() else {}
        kept[name] = found | how | {"machine": conditions.told()}
        print(json.dumps(kept[name], indent=1))
        record = {
            "command": "python bench/peers.py",
            "shapes": {label: kept[label] for label in SHAPES if label in kept},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
