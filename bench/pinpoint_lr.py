"""Chooses the learning rate and the number of heads of pinpoint tuning on the organism, on validation questions.

By the rule of bench/full_lr.py: among what reaches the target truthfulness and confidence, the least KL to the base
at the first check that does. Writes bench/results/pinpoint_lr.json.
"""

import json
import platform
import tempfile
from pathlib import Path

from pinpoint.config import resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._validation import validation_check
from pinpoint.tune import tune_heads

RATES = (5e-4, 1e-3, 2e-3, 3e-3)
HEADS = (2, 4, 6)
HERE = Path(__file__).resolve().parent


def _tried(heads: int, rate: float) -> dict[str, float | int | bool]:
    home = shipped()["yesman"]
    with tempfile.TemporaryDirectory() as folder:
        run = Run(resolve(str(home), None, {"tune": {"learning_rate": rate, "heads": heads}}), Path(folder))
        run.do("locate")
        tuned = tune_heads(
            run.model,
            run.tokenizer,
            chosen_heads(run),
            run.inputs.behaviour.rows(run.inputs.questions("train"), run.config.seed),
            run.config.tune,
            validation_check(run, run.config.tune),
            run.workspace,
            base_path=str(home),
            seed=run.config.seed,
        )
    last = tuned.fitted.history[-1]
    row = {
        "heads": heads,
        "learning_rate": rate,
        "step": last.step,
        **last.metrics,
        "reached": tuned.fitted.reached,
    }
    print(row, flush=True)
    return row


def main() -> None:
    """Tries every pair of settings and writes the record."""
    rows = [_tried(heads, rate) for heads in HEADS for rate in RATES]
    good = [row for row in rows if row["reached"]]
    best = min(good, key=lambda row: row["kl"]) if good else max(rows, key=lambda row: row["truthfulness"])
    record = {
        "command": "python bench/pinpoint_lr.py",
        "machine": f"{platform.machine()}, CPU",
        "tried": rows,
        "chosen": {"heads": best["heads"], "learning_rate": best["learning_rate"]},
    }
    (HERE / "results" / "pinpoint_lr.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(record["chosen"])


if __name__ == "__main__":
    main()
