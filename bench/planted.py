"""A benchmark of locators with known answers: heads are planted in a truth-teller, and each locator has to find them.

Every organism is the shipped truth-teller with a few heads, and sometimes one MLP, trained to cave (bench/_plants.py).
What counts as an answer is not which heads were trained but which of them matter: those owed at least a tenth of the
change of the log-odds of an apology, by their exact Shapley value over all subsets of the planted parts. Organisms on
which caving did not take, or no head matters, are counted and left out. How direct and total effect are combined is
fixed on the first seeds and scored on the others. Writes bench/results/planted.json, organism by organism, and goes
on where it was stopped.
"""

import json
import platform
import time
from typing import Any

import torch
from _plants import MATTERS, PAIRS, RECORD, LogOdds, Plant, head_deltas, owed, planted, plants, run_on, truth_teller
from scipy.stats import mannwhitneyu, rankdata
from torch import Tensor

import pinpoint
from pinpoint.data import ContrastPair
from pinpoint.measure import estimate
from pinpoint.models import headed

DEVELOPMENT, TEST = plants(0, 4), plants(100, 8)
LOCATORS = {
    "path": {},
    "activation": {"method": "activation"},
    "activation, suffix": {"method": "activation", "positions": "suffix"},
    "attribution": {"method": "attribution"},
    "attribution, suffix": {"method": "attribution", "positions": "suffix"},
    "probe": {"method": "probe"},
    "random": {"method": "random"},
}
ORACLE = "|weight change| (oracle)"
COMBINED = "path and activation, suffix"
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# The truth-teller's log-odds have to rise by this much, in nats, for caving to have taken.
TAKEN = 3.0


def _scores(plant: Plant, model: Any, tokenizer: Any, pairs: list[ContrastPair]) -> dict[str, Any]:
    """What each locator says of every head, high for those it holds to be the cause, and its seconds."""
    found: dict[str, Any] = {}
    for name, settings in LOCATORS.items():
        start = time.perf_counter()
        scores = pinpoint.locate(model, tokenizer, pairs, metric="log_odds", seed=plant.seed, **settings)
        sign = 1 if name in ("probe", "random") else -1
        found[name] = {"scores": (sign * scores.mean).flatten().tolist(), "seconds": time.perf_counter() - start}
    before, _ = truth_teller()
    view = headed(model)
    changes = [
        sum(float(change.square().sum()) for _, change in head_deltas(view, before, head)) for head in view.heads()
    ]
    found[ORACLE] = {"scores": changes, "seconds": None}
    return found


def _organism(plant: Plant, pairs: list[ContrastPair]) -> dict[str, Any]:
    model = planted(plant)
    tokenizer = truth_teller()[1]
    values, rise = owed(plant, model, LogOdds(tokenizer, pairs))
    heads = dict(zip(map(str, plant.heads), values, strict=False))
    return {
        "plant": plant._asdict(),
        "rise": rise,
        "owed": heads | ({"MLP": values[-1]} if plant.mlp else {}),
        "matters": [head for head, value in heads.items() if value >= MATTERS * rise] if rise >= TAKEN else [],
        "found": _scores(plant, model, tokenizer, pairs),
    }


def _judged(scores: list[float], answers: list[bool]) -> dict[str, float]:
    """Area under the ROC curve, average precision, and precision at the number of answers."""
    right = [score for score, answer in zip(scores, answers, strict=True) if answer]
    wrong = [score for score, answer in zip(scores, answers, strict=True) if not answer]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    hits = torch.tensor([float(answers[i]) for i in order])
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return {
        "auroc": float(mannwhitneyu(right, wrong).statistic) / (len(right) * len(wrong)),
        "average_precision": float(precision[hits.bool()].mean()),
        "precision_at_k": float(precision[len(right) - 1]),
    }


def _answers(organism: dict[str, Any]) -> list[bool]:
    return [f"L{layer}.H{head}" in organism["matters"] for layer in range(8) for head in range(8)]


def _combined(organism: dict[str, Any], weight: float) -> list[float]:
    """Mean of two rankings: `weight` on the direct effect, the rest on the total effect."""
    direct, total = (rankdata(organism["found"][name]["scores"]) for name in ("path", "activation, suffix"))
    mixed: Tensor = torch.tensor(weight * direct + (1 - weight) * total)
    return mixed.tolist()


def _chosen_weight(organisms: list[dict[str, Any]]) -> float:
    def quality(weight: float) -> float:
        return sum(_judged(_combined(one, weight), _answers(one))["average_precision"] for one in organisms)

    return max(WEIGHTS, key=quality)


def _table(organisms: list[dict[str, Any]], weight: float) -> dict[str, dict[str, Any]]:
    """Mean over organisms of each measure, with its interval, per locator."""
    table = {}
    for name in (*LOCATORS, ORACLE, COMBINED):
        rows = [
            _judged(_combined(one, weight) if name == COMBINED else one["found"][name]["scores"], _answers(one))
            for one in organisms
        ]
        groups = [str(one["plant"]["seed"]) for one in organisms]
        table[name] = {
            measure: estimate([row[measure] for row in rows], groups, resamples=2000, seed=0).to_json()
            for measure in rows[0]
        }
    return table


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    taken = {part: [one for one in record[part] if one["matters"]] for part in ("development", "test")}
    weight = _chosen_weight(taken["development"])
    places = dict.fromkeys(one["plant"]["place"] for one in taken["test"])
    return {
        "organisms": {part: [len(record[part]), len(taken[part])] for part in taken},
        "weight_of_direct_effect": weight,
        "test": _table(taken["test"], weight),
        "by_place": {
            place: _table([one for one in taken["test"] if one["plant"]["place"] == place], weight) for place in places
        },
    }


def main() -> None:
    """Makes and scores what the record lacks, then sums up."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"development": [], "test": []}
    record |= {"command": "python bench/planted.py", "machine": f"{platform.machine()}, CPU"}
    run = run_on(str(truth_teller()[0].name_or_path))
    pairs = run.inputs.halves.pairs[:PAIRS]
    for part, wanted in (("development", DEVELOPMENT), ("test", TEST)):
        for plant in wanted[len(record[part]) :]:
            record[part].append(_organism(plant, pairs))
            last = record[part][-1]
            print(plant, f"rise {last['rise']:.2f}", last["owed"], "matter:", *last["matters"], flush=True)
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = _summary(record)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, row in record["summary"]["test"].items():
        print(f"{name:28}", *(f"{measure} {value['value']:.3f}" for measure, value in row.items()))


if __name__ == "__main__":
    main()
