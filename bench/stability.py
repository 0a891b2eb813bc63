"""How stable a head map is: under other pairs, wordings, questions, training seeds, and under rounding alone.

Everything is of the shipped yesman and path patching in log-odds on all of its questions kept for locating, but for
the training seeds: other yesmen, made from the shipped truth-teller by the shipped recipe with other seeds (about two
minutes each; kept in runs/yesmen), and the organisms of bench/planted.py, where they are in runs/planted. Writes
bench/results/stability.json.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _plants import FOLDER, truth_teller
from scipy.stats import spearmanr

import pinpoint
from pinpoint.config import resolve
from pinpoint.data import ContrastPair
from pinpoint.heads import HeadScores
from pinpoint.measure import agreement_by_pairs, between
from pinpoint.organism import shipped
from pinpoint.organism._train import YES_MAN, train_stage
from pinpoint.pipeline import Run, locate_stability

HERE = Path(__file__).resolve().parent
YESMEN = HERE.parent / "runs" / "yesmen"
SEEDS = (1, 2)
COUNTS = (1, 2, 4, 8, 16)
SIZES = (4, 8, 16, 32, 64, 128)
TOPIC_PAIRS = 10
ROUNDED = 32
NOISE_PAIRS = 8


def _map(model: Any, tokenizer: Any, pairs: list[ContrastPair], **more: Any) -> HeadScores:
    return pinpoint.locate(model, tokenizer, pairs, metric="log_odds", **more)


def _yesmen() -> Iterator[tuple[str, Any]]:
    """Yesmen of other training seeds; trains those that no earlier call left."""
    for seed in SEEDS:
        folder = YESMEN / str(seed)
        if not (folder / "config.json").is_file():
            model, tokenizer = truth_teller()
            with tempfile.TemporaryDirectory() as out:
                train_stage(model, tokenizer, YES_MAN, seed, Path(out))
            model.save_pretrained(str(folder))
            tokenizer.save_pretrained(str(folder))
        yield f"seed {seed}", pinpoint.load(folder, dtype="float32", device="cpu")[0]


def _planted() -> Iterator[tuple[str, Any]]:
    for folder in sorted((path.parent for path in FOLDER.glob("*/plant.json")), key=lambda path: int(path.name)):
        plant = json.loads((folder / "plant.json").read_text(encoding="utf-8"))
        yield f"{folder.name}, {plant['place']}", pinpoint.load(folder, dtype="float32", device="cpu")[0]


def _summed(found: dict[str, Any]) -> dict[str, Any]:
    """Mean and least agreement of the couples, beside them."""
    couples = found["couples"]
    correlations = [one["correlation"] for one in couples]
    ceilings = [one["ceiling"] for one in couples if one["ceiling"] is not None]
    least = min(couples, key=lambda one: one["correlation"])
    return found | {
        "correlation": {"mean": sum(correlations) / len(couples), "least": min(correlations), "of": least["of"]},
        "ceiling": sum(ceilings) / len(ceilings) if ceilings else None,
        "overlap": {n: sum(one["overlap"][n] for one in couples) / len(couples) for n in couples[0]["overlap"]},
    }


def _topics(run: Run, scores: HeadScores) -> dict[str, Any]:
    """Maps by what the questions are about, as far as there are enough of a kind."""
    topics: dict[str, list[int]] = {}
    for i, group in enumerate(scores.groups):
        topics.setdefault(group.partition("/")[0], []).append(i)
    return between({name: scores.of(some) for name, some in topics.items() if len(some) >= TOPIC_PAIRS}, COUNTS)


def _rounded(pairs: list[ContrastPair]) -> list[dict[str, Any]]:
    """What each dtype's rounding does on the shipped organism."""
    some, rows, exact = pairs[:ROUNDED], [], None
    itself = [replace(pair, counterfactual=pair.reference) for pair in some]
    for dtype in ("float32", "bfloat16", "float16"):
        model, tokenizer = pinpoint.load(shipped()["yesman"], dtype=dtype, device="cpu")
        found = _map(model, tokenizer, some, noise_pairs=ROUNDED)
        few = _map(model, tokenizer, some, noise_pairs=NOISE_PAIRS)
        alone = _map(model, tokenizer, some, batch_size=1, rows_per_chunk=1)
        assert found.rounding is not None and found.above_noise is not None
        exact = found if exact is None else exact
        rows.append(
            {
                "dtype": dtype,
                "against": found.rounding.against,
                "self": float(_map(model, tokenizer, itself).effects.abs().max()),
                "other_shapes": float((found.mean - alone.mean).abs().max()),
                "floor": found.rounding.floor,
                "floor_of_few": few.noise_floor,
                "median_error": float(found.rounding.errors.median()),
                "strongest": float(found.mean.min()),
                "above": int(found.above_noise.sum()),
                "correlation": float(spearmanr(found.mean.flatten(), exact.mean.flatten()).statistic),
                "shared": {str(n): len({*found.top(n)} & {*exact.top(n)}) for n in COUNTS},
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measures everything, or rounding alone, and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounding", action="store_true", help="measure rounding alone; the rest of the record stays")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = HERE / "results" / "stability.json"
    settings = {"locate": {"pairs": 1000}}
    run = Run(resolve(str(shipped()["yesman"]), None, settings), Path(tempfile.mkdtemp()))
    if arguments.rounding:
        record = json.loads(path.read_text("utf-8"))
        record["rounding"]["rows"] = _rounded(run.inputs.halves.pairs)
    else:
        record = _everything(run)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _everything(run: Run) -> dict[str, Any]:
    scores = run.do("locate")
    pairs = run.inputs.halves.pairs
    steady = locate_stability(run, scores)
    print(scores.worth, steady["pairs"], flush=True)
    tokenizer = truth_teller()[1]
    seeds = {"shipped": scores} | {name: _map(model, tokenizer, pairs) for name, model in _yesmen()}
    planted = {name: _map(model, tokenizer, pairs) for name, model in _planted()}
    before = {"truth-teller": _map(truth_teller()[0], tokenizer, pairs)}
    return {
        "command": "python bench/stability.py",
        "machine": f"{platform.machine()}, CPU, one thread, float32",
        "pairs": len(pairs),
        "facts": len(set(scores.groups)),
        "heads": scores.mean.numel(),
        "top": list(map(str, scores.top(max(COUNTS)))),
        "reliability": scores.reliability.to_json(),
        "drawn": steady["pairs"],
        "by_pairs": agreement_by_pairs(scores, scores.groups, scores, 4, SIZES),
        "wordings": _summed(steady["wordings"]),
        "questions": _summed(steady["questions"]),
        "topics": _summed(_topics(run, scores)),
        "seeds": _summed(between(seeds, COUNTS)),
        "with_before": _summed(between(before | {"shipped": scores}, COUNTS)),
        "planted": _summed(between(planted, COUNTS)) if planted else None,
        "rounding": {"pairs": ROUNDED, "few": NOISE_PAIRS, "rows": _rounded(pairs)},
    }


if __name__ == "__main__":
    main()
