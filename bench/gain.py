"""Does locating help tuning? The effect of a set of heads against what tuning it gains (Hase et al. 2023).

On the first five organisms of bench/results/planted_first.json: sets of four heads, half of them drawn from all heads,
half from the quarter that path patching puts first, each tuned for the same few steps. Effect is the sum of the set's
effects, direct (path patching) and total (activation patching over the suffix), turned so that heads which cause caving
count as positive; and what of the planted change its heads are owed. Gain is the rise of truthfulness on validation
questions. Writes bench/results/gain.json and goes on where it was stopped, and draws docs/results/gain.svg.
"""

import json
import platform
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _plants import FIRST, Plant, planted, ranked, run_on, taken
from _scatter import scatter
from scipy.stats import rankdata

from pinpoint.heads import Head
from pinpoint.measure import estimate, holm
from pinpoint.pipeline._validation import validation_check
from pinpoint.tune import fit_heads, values_of

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "gain.json"
FIGURE = HERE.parent / "docs" / "results" / "gain.svg"
ORGANISMS, SETS, SIZE, RATE, STEPS = 5, 10, 4, 1e-3, 16
EFFECTS = {"direct": "path", "total": "activation, suffix"}
DRAWN = ("all", "random", "top")
SHUFFLES = 10_000


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
    before = values_of(check(run.model))
    found = []
    for heads in _sets(organism):
        with (
            tempfile.TemporaryDirectory() as out,
            fit_heads(run.model, run.tokenizer, heads, rows, config, check, seed=0, out=Path(out)) as (_, fitted),
        ):
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


def _of(organism: dict[str, Any], drawn: str) -> list[dict[str, Any]]:
    """An organism's sets: all, those drawn from the first quarter of the ranking, or those drawn from all heads."""
    sets: list[dict[str, Any]] = organism["sets"]
    return {"all": sets, "top": sets[::2], "random": sets[1::2]}[drawn]


def _correlation(organisms: list[dict[str, Any]], effect: str, drawn: str) -> dict[str, Any]:
    """Spearman's rank correlation with the gain: within each organism, their mean with its interval over organisms, and
    how often a mean as far from 0 comes of gains that are shuffled within the organisms.
    """
    each, shuffled, rng = [], [], np.random.default_rng(0)
    for one in organisms:
        sets = _of(one, drawn)
        effects, gains = (rankdata([row[name] for row in sets]) for name in (effect, "gain"))
        if np.ptp(effects) == 0 or np.ptp(gains) == 0:
            each.append(None)  # undefined where all are equal
            continue
        effects, gains = ((ranks - ranks.mean()) / ranks.std() for ranks in (effects, gains))
        each.append(float(effects @ gains) / len(sets))
        shuffled.append(rng.permuted(np.tile(gains, (SHUFFLES, 1)), axis=1) @ effects / len(sets))
    known = [value for value in each if value is not None]
    mean = estimate(known, list(map(str, range(len(known)))), resamples=2000, seed=0).to_json()
    found: dict[str, Any] = {"within": each, **mean, "p": None}
    if known:
        further = np.abs(np.mean(shuffled, axis=0)) >= abs(np.mean(known)) - 1e-12
        found["p"] = float((1 + further.sum()) / (1 + SHUFFLES))
    return found


def _ahead(organisms: list[dict[str, Any]]) -> dict[str, Any]:
    """How much more sets of the first quarter gain than sets of all heads: organism by organism, and their mean."""
    means = [
        [float(np.mean([row["gain"] for row in _of(one, drawn)])) for drawn in ("top", "random")] for one in organisms
    ]
    each = [top - other for top, other in means]
    return {"within": each, **estimate(each, list(map(str, range(len(each)))), resamples=2000, seed=0).to_json()}


def summary(organisms: list[dict[str, Any]]) -> dict[str, Any]:
    """Correlations by effect and by how sets were drawn, their p values by Holm's correction over all; and what sets of
    the first quarter gain beyond the others.
    """
    effects = (*EFFECTS, "owed")
    correlations = {effect: {drawn: _correlation(organisms, effect, drawn) for drawn in DRAWN} for effect in effects}
    table = {(effect, drawn): one for effect, row in correlations.items() for drawn, one in row.items()}
    corrected = holm({f"{key}": one["p"] for key, one in table.items() if one["p"] is not None})
    for key, one in table.items():
        one["p_holm"] = corrected.get(f"{key}")
    return {
        "correlations": correlations,
        "top_minus_random": _ahead(organisms),
        "shuffles": SHUFFLES,
    }


def main() -> None:
    """Tunes what the record lacks, then sums up."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"organisms": []}
    record |= {"command": "python bench/gain.py", "machine": f"{platform.machine()}, CPU"}
    for organism in taken(FIRST)[len(record["organisms"]) : ORGANISMS]:
        record["organisms"].append(_organism(organism))
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = summary(record["organisms"])
    FIGURE.write_text(scatter(record["organisms"]), encoding="utf-8")
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record["summary"], indent=1))


if __name__ == "__main__":
    main()
