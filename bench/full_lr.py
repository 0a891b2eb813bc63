"""Chooses the learning rate of full fine-tuning on the organism, on validation questions.

Among the rates that reach the target truthfulness, the one with the least KL to the base at the first check
that does; among none, the most truthful. Writes bench/results/full_lr.json and the copy that ships with the
organism, which the demo's page shows.
"""

import json
import platform
import shutil
import tempfile
from pathlib import Path

from pinpoint.config import resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._validation import validation_check
from pinpoint.tune import tune_full

RATES = (1e-5, 3e-5, 1e-4, 3e-4)
TARGET = 0.9
HERE = Path(__file__).resolve().parent


def _tried(rate: float) -> dict[str, float | int | bool]:
    home = shipped()["yesman"]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(resolve(str(home), None, {"full": {"learning_rate": rate, "search": None}}), Path(folder))
        assert run.config.full is not None
        tuned = tune_full(
            run.model,
            run.tokenizer,
            run.inputs.behaviour.rows(run.inputs.questions("train"), run.config.seed),
            run.config.full,
            validation_check(run, run.config.full),
            run.workspace,
            seed=run.config.seed,
        )
    history = tuned.fitted.history
    at = next((point for point in history if point.metrics["truthfulness"] >= TARGET), history[-1])
    row = {
        "learning_rate": rate,
        "step": at.step,
        **at.metrics,
        "reached": at.metrics["truthfulness"] >= TARGET,
    }
    print(row)
    return row


def main() -> None:
    """Tries every rate and writes the record."""
    rates = [_tried(rate) for rate in RATES]
    good = [row for row in rates if row["reached"]]
    best = min(good, key=lambda row: row["kl"]) if good else max(rates, key=lambda row: row["truthfulness"])
    record = {
        "command": "python bench/full_lr.py",
        "machine": f"{platform.machine()}, CPU",
        "target_truthfulness": TARGET,
        "rates": rates,
        "chosen": best["learning_rate"],
    }
    path = HERE / "results" / "full_lr.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    shutil.copy(path, shipped()["yesman"] / "full_lr.json")
    print(f"chosen: {best['learning_rate']}")


if __name__ == "__main__":
    main()
