"""Does locating help tuning? The effect of a set of heads against what tuning it gains (Hase et al. 2023).

On the first five test organisms of bench/planted.py on which caving took: sets of four heads, half of them drawn from
all heads, half from the quarter that path patching puts first, each tuned for the same few steps. Effect is the sum of
the set's effects, direct (path patching) and total (activation patching over the suffix), turned so that heads which
cause caving count as positive; and what of the planted change its heads are owed. Gain is the rise of truthfulness on
validation questions. Writes bench/results/gain.json and goes on where it was stopped.
"""

import json
import platform
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _plants import Plant, planted, ranked, run_on, taken
from scipy.stats import spearmanr

from pinpoint.heads import Head
from pinpoint.pipeline._validation import validation_check
from pinpoint.tune import fit_heads

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "gain.json"
ORGANISMS, SETS, SIZE, RATE, STEPS = 5, 10, 4, 1e-3, 16
EFFECTS = {"direct": "path", "total": "activation, suffix"}


def _sets(organism: dict[str, Any]) -> list[list[Head]]:
    rng = random.Random(organism["plant"]["seed"])
    order = ranked(organism)
    pools = [order if i % 2 else order[: len(order) // 4] for i in range(SETS)]
    return [sorted(rng.sample(pool, SIZE)) for pool in pools]


def _organism(organism: dict[str, Any]) -> dict[str, Any]:
    plant = Plant(**organism["plant"])
    planted(plant)
    run = run_on(str(plant.folder))
    rows = run.inputs.behaviour.rows(run.inputs.questions("train"), 0)
    epochs = STEPS * run.config.tune.batch_size / len(rows)
    config = run.config.tune.model_copy(update={"learning_rate": RATE, "epochs": epochs, "check_every": 10**9})
    check = validation_check(run, config)
    before = check(run.model)
    found = []
    for heads in _sets(organism):
        with tempfile.TemporaryDirectory() as out:
            _, fitted = fit_heads(run.model, run.tokenizer, heads, rows, config, check, seed=0, out=Path(out))
        after = fitted.history[-1].metrics
        sums = {
            name: sum(organism["found"][locator]["scores"][8 * head.layer + head.head] for head in heads)
            for name, locator in EFFECTS.items()
        }
        owed = sum(organism["owed"].get(str(head), 0.0) for head in heads)
        gain = after["truthfulness"] - before["truthfulness"]
        found.append({"heads": list(map(str, heads)), **sums, "owed": owed, "gain": gain, "kl": after["kl"]})
        print(plant.seed, found[-1], flush=True)
    return {"plant": plant._asdict(), "before": before, "sets": found}


def _correlation(organisms: list[dict[str, Any]], effect: str) -> dict[str, Any]:
    """Spearman's rank correlation with the gain: within each organism, and their mean."""
    each = []
    for one in organisms:
        rows = one["sets"]
        each.append(float(spearmanr([row[effect] for row in rows], [row["gain"] for row in rows]).statistic))
    known = [value for value in each if not np.isnan(value)]
    return {"within": each, "mean": float(np.mean(known)) if known else None}


def main() -> None:
    """Tunes what the record lacks, then sums up."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"organisms": []}
    record |= {"command": "python bench/gain.py", "machine": f"{platform.machine()}, CPU"}
    for organism in taken()[len(record["organisms"]) : ORGANISMS]:
        record["organisms"].append(_organism(organism))
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = {name: _correlation(record["organisms"], name) for name in (*EFFECTS, "owed")}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["summary"], indent=1))


if __name__ == "__main__":
    main()
