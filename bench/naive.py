"""The sweep against brute force on the organism: same scores, ratio of times, side by side in one run."""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import pinpoint
from pinpoint.config import resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run

PAIRS = 16
ALTERNATIONS = 5
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions, clock  # noqa: E402


def main() -> None:
    """Alternates the two engines and writes bench/results/naive.json."""
    conditions = Conditions()
    home = shipped()["yesman"]
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(resolve(str(home), None, {}), Path(scratch))
        pairs = run.inputs.behaviour.pairs(run.inputs.questions("locate"))[:PAIRS]
    pinpoint.locate(run.model, run.tokenizer, pairs)
    seconds: dict[str, list[float]] = {"sweep": [], "naive": []}
    scores = {}
    for _ in range(ALTERNATIONS):
        for engine, times in seconds.items():
            now = clock()
            began = now()
            scores[engine] = pinpoint.locate(run.model, run.tokenizer, pairs, engine=engine)
            times.append(now() - began)
    exact, fast = scores["naive"].effects, scores["sweep"].effects
    medians = {engine: statistics.median(times) for engine, times in seconds.items()}
    record = {
        "command": "python bench/naive.py",
        "machine": conditions.told(),
        "model": "yesman (8 layers x 8 heads)",
        "pairs": PAIRS,
        "alternations": ALTERNATIONS,
        "median_seconds": medians,
        "ratio": medians["naive"] / medians["sweep"],
        "largest_relative_difference": float((fast - exact).abs().max() / exact.abs().max()),
        "same_ranking": scores["naive"].ranking() == scores["sweep"].ranking(),
    }
    (HERE / "results" / "naive.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
