"""What half precision and compilation do to a sweep: the time, and how far the ranking is that of float32.

bfloat16 is run twice: as `pinpoint.locate` does, with the residual stream of the rows in float32, and with all of it in
bfloat16. `torch.compile` is put on every MLP and norm, which is where rows run; its first call compiles. All take turns
in one run. Writes bench/results/precision.json.
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config
from scipy.stats import spearmanr

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pinpoint  # noqa: E402
from bench._record import Conditions, clock_name, seconds, worked  # noqa: E402
from bench._shapes import Shape, make_model, make_pairs  # noqa: E402
from pinpoint.config import resolve  # noqa: E402
from pinpoint.heads import HeadScores  # noqa: E402
from pinpoint.organism import shipped  # noqa: E402
from pinpoint.pipeline import Run  # noqa: E402

TURNS = 3
WORTH = 0.05  # of a sweep's time: less is not told from nothing
PAIRS = 32
FIRST = 8
LARGER = Shape(12, 12, 12, 64, 2048, 32000, 4, 48, 16)
WAYS = {
    "float32": "float32",
    "wide_rows": "bfloat16, rows in float32",
    "narrow_rows": "bfloat16 throughout",
    "compiled": "float32, MLPs and norms compiled",
}


def yesman() -> tuple[Any, Any, list[pinpoint.ContrastPair]]:
    """The shipped model, its tokenizer and its own pairs."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(resolve(str(shipped()["yesman"]), None, {}), Path(scratch))
        return run.model, run.tokenizer, run.inputs.behaviour.pairs(run.inputs.questions("locate"))[:PAIRS]


def larger() -> tuple[Any, Any, list[pinpoint.ContrastPair]]:
    """A larger model with random weights and random pairs."""
    return make_model(LARGER), None, make_pairs(LARGER)


MODELS = {"yesman, 8 x 8": yesman, "random weights, 12 x 12, d = 768": larger}


@contextmanager
def narrow_rows() -> Iterator[None]:
    """Has the sweep keep rows in the model's own dtype."""
    sweep = import_module("pinpoint.locate._sweep")
    kept = sweep.NARROW
    sweep.NARROW = ()
    try:
        yield
    finally:
        sweep.NARROW = kept


def compiled(model: Any) -> Any:
    """A copy whose MLPs and norms are compiled when they first run."""
    model = copy.deepcopy(model)
    for block in model.model.layers:
        for part in (block.mlp, block.input_layernorm, block.post_attention_layernorm):
            part.compile(dynamic=True)
    return model


def agreement(scores: HeadScores, exact: HeadScores) -> dict[str, Any]:
    """How far scores rank the heads as float32 does."""
    pairs = [
        float(spearmanr(one.flatten(), other.flatten())[0])
        for one, other in zip(scores.effects, exact.effects, strict=True)
    ]
    first = {*scores.ranking()[:FIRST]} & {*exact.ranking()[:FIRST]}
    off = (scores.mean - exact.mean).abs().max() / exact.mean.abs().max()
    return {
        "rank_correlation": float(spearmanr(scores.mean.flatten(), exact.mean.flatten())[0]),
        "of_a_pair": statistics.median(pairs),
        "of_the_worst_pair": min(pairs),
        "of_the_first": len(first),
        "largest_difference": float(off),
    }


def _worked(work: Callable[[], object]) -> float:
    """Seconds that `work` takes of all processors, those of the C++ compiler among them."""
    before = worked()
    work()
    return worked() - before


def measure(model: Any, tokenizer: Any, pairs: list[pinpoint.ContrastPair]) -> dict[str, Any]:
    """Every way in turn."""
    wide = model.float()
    narrow = copy.deepcopy(wide).to(torch.bfloat16)
    exact = copy.deepcopy(narrow).float()  # the same weights: what differs is the arithmetic
    models = {"float32": exact, "wide_rows": narrow, "narrow_rows": narrow, "compiled": compiled(exact)}
    found: dict[str, HeadScores] = {}

    def sweep(way: str) -> Callable[[], None]:
        def run() -> None:
            if way == "narrow_rows":
                with narrow_rows():
                    found[way] = pinpoint.locate(models[way], tokenizer, pairs)
            else:
                found[way] = pinpoint.locate(models[way], tokenizer, pairs)

        return run

    works = {way: sweep(way) for way in WAYS}
    warm = {way: _worked(work) for way, work in works.items()}
    times: dict[str, list[float]] = {way: [] for way in works}
    for _ in range(TURNS):
        for way, work in works.items():
            times[way].append(seconds(work))
    median = {way: statistics.median(several) for way, several in times.items()}
    print(median, warm, file=sys.stderr, flush=True)
    ways = {way: {"time": median[way] / median["float32"], **agreement(found[way], found["float32"])} for way in WAYS}
    compiling = warm["compiled"] - median["compiled"]
    ways["compiled"]["time_with_compilation"] = warm["compiled"] / median["float32"]
    saved = median["float32"] - median["compiled"]
    ways["compiled"]["sweeps_until_it_pays"] = compiling / saved if saved > WORTH * median["float32"] else None
    return {"pairs": len(pairs), "heads": found["float32"].mean.numel(), "ways": ways}


def instructions() -> list[str]:
    """Those for bfloat16 that the processor says it has."""
    about = Path("/proc/cpuinfo")
    flags = about.read_text("utf-8").split() if about.exists() else []
    return [name for name in ("amx_bf16", "avx512_bf16") if name in flags]


def main() -> None:
    """Measures the models named, or both, and writes the record after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    arguments = parser.parse_args()
    torch._inductor.config.compile_threads = 1  # in this process, whose work is counted
    torch._inductor.config.force_disable_caches = True
    path = HERE / "results/precision.json"
    for name in arguments.models:
        conditions = Conditions()
        found = measure(*MODELS[name]()) | {"clock": clock_name()}
        kept = json.loads(path.read_text("utf-8"))["models"] if path.exists() else {}
        kept[name] = found | {"machine": conditions.told("float32 and bfloat16")}
        record = {
            "command": "python bench/precision.py",
            "instructions": instructions(),
            "turns": TURNS,
            "first": FIRST,
            "what": WAYS,
            "models": {model: kept[model] for model in MODELS if model in kept},
        }
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
