"""A benchmark of locators with known answers: heads are planted in a truth-teller, and each locator has to find them.

Every organism is the shipped truth-teller with a few heads, and sometimes one MLP, trained to cave (bench/_plants.py).
What counts as an answer is not which heads were trained but which of them matter: those owed at least a tenth of the
change of the log-odds of an apology, by their exact Shapley value over all subsets of the planted parts. Organisms on
which caving did not take, or no head matters, are counted and left out. How direct and total effect are combined is
fixed on the first seeds and scored on the others. Writes bench/results/planted.json, organism by organism, and goes
on where it was stopped; organisms that a locator is new to are scored by it alone.
"""

import json
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from _plants import MATTERS, PAIRS, RECORD, LogOdds, Plant, head_deltas, owed, planted, plants, run_on, truth_teller
from scipy.stats import mannwhitneyu, rankdata
from torch import Tensor

import pinpoint
from pinpoint.data import ContrastPair, Dialogue
from pinpoint.measure import estimate, head_means
from pinpoint.models import headed
from pinpoint.numerals import with_interval

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
# What else the challenge on a right answer is set against: a second turn that keeps its "don't" and doubts nothing,
# and the same challenge on a wrong answer.
CONTRASTS = ("neutral", "wrong_first")
CONTRASTED = {
    f"{name}, contrast {contrast}": (contrast, LOCATORS[name])
    for contrast in CONTRASTS
    for name in ("path", "attribution, suffix")
}
KNOCKOUT = "knockout of each head"
ORACLE = "|weight change| (oracle)"
COMBINED = "path and activation, suffix"
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# The truth-teller's log-odds have to rise by this much, in nats, for caving to have taken.
TAKEN = 3.0


class Material(NamedTuple):
    """What locators look at: the first pairs by contrast, and dialogues without a challenge."""

    pairs: dict[str, list[ContrastPair]]
    neutral: list[Dialogue]


def _material() -> Material:
    runs = {name: run_on(str(truth_teller()[0].name_or_path), name) for name in ("affirmed", *CONTRASTS)}
    pairs = {name: run.inputs.halves.pairs[:PAIRS] for name, run in runs.items()}
    return Material(pairs, runs["affirmed"].inputs.neutral)


def _located(plant: Plant, model: Any, tokenizer: Any, pairs: list[ContrastPair], settings: Any) -> list[float]:
    """What a locator says of every head, high for those it holds to be the cause."""
    scores = pinpoint.locate(model, tokenizer, pairs, metric="log_odds", seed=plant.seed, **settings)
    found: list[float] = ((1 if scores.method in ("probe", "random") else -1) * scores.mean).flatten().tolist()
    return found


def _knocked_out(plant: Plant, model: Any, tokenizer: Any, material: Material) -> list[float]:
    """How far the log-odds fall on the references, in nats, with each head at its mean over neutral dialogues."""
    means = head_means(headed(model), tokenizer, material.neutral, 64)
    return _located(plant, model, tokenizer, material.pairs["affirmed"], {"method": "knockout", "means": means})


def _moved(model: Any) -> list[float]:
    """How far planting moved the weights of each head, squared."""
    before, view = truth_teller()[0], headed(model)
    return [sum(float(change.square().sum()) for _, change in head_deltas(view, before, head)) for head in view.heads()]


def _scores(plant: Plant, model: Any, tokenizer: Any, material: Material, known: dict[str, Any]) -> dict[str, Any]:
    """What each locator says of every head, and its seconds; those that are `known` are kept."""
    affirmed = material.pairs["affirmed"]
    ways: dict[str, Callable[[], list[float]]] = {
        **{name: partial(_located, plant, model, tokenizer, affirmed, settings) for name, settings in LOCATORS.items()},
        **{
            name: partial(_located, plant, model, tokenizer, material.pairs[contrast], settings)
            for name, (contrast, settings) in CONTRASTED.items()
        },
        KNOCKOUT: partial(_knocked_out, plant, model, tokenizer, material),
        ORACLE: partial(_moved, model),
    }
    found: dict[str, Any] = {}
    for name, score in ways.items():
        start = time.perf_counter()
        found[name] = known.get(name) or {
            "scores": score(),
            "seconds": None if name == ORACLE else time.perf_counter() - start,
        }
    return found


def _organism(plant: Plant, material: Material) -> dict[str, Any]:
    model = planted(plant)
    tokenizer = truth_teller()[1]
    values, rise = owed(plant, model, LogOdds(tokenizer, material.pairs["affirmed"]))
    heads = dict(zip(map(str, plant.heads), values, strict=False))
    return {
        "plant": plant._asdict(),
        "rise": rise,
        "owed": heads | ({"MLP": values[-1]} if plant.mlp else {}),
        "matters": [head for head, value in heads.items() if value >= MATTERS * rise] if rise >= TAKEN else [],
        "found": _scores(plant, model, tokenizer, material, {}),
    }


def _rescored(organism: dict[str, Any], material: Material) -> dict[str, Any]:
    """A recorded organism with the scores of locators that it lacks."""
    if {*LOCATORS, *CONTRASTED, KNOCKOUT, ORACLE} <= organism["found"].keys():
        return organism
    plant = Plant(**organism["plant"])
    found = _scores(plant, planted(plant), truth_teller()[1], material, organism["found"])
    return organism | {"found": found}


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
    """Mean over organisms of each measure, with its interval and the values behind it, per locator."""
    table = {}
    for name in (*LOCATORS, COMBINED, *CONTRASTED, KNOCKOUT, ORACLE):
        rows = [
            _judged(_combined(one, weight) if name == COMBINED else one["found"][name]["scores"], _answers(one))
            for one in organisms
        ]
        groups = [str(one["plant"]["seed"]) for one in organisms]
        table[name] = {
            measure: estimate([row[measure] for row in rows], groups, resamples=2000, seed=0).to_json()
            | {"values": [row[measure] for row in rows]}
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
    material = _material()
    for part, wanted in (("development", DEVELOPMENT), ("test", TEST)):
        for plant in wanted[len(record[part]) :]:
            record[part].append(_organism(plant, material))
            last = record[part][-1]
            print(plant, f"rise {last['rise']:.2f}", last["owed"], "matter:", *last["matters"], flush=True)
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for number, one in enumerate(record["test"]):
        if one["matters"]:  # the others are in no table
            record["test"][number] = _rescored(one, material)
            RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = _summary(record)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, row in record["summary"]["test"].items():
        told = (f"{measure} {with_interval(one, '.2f')}" for measure, one in row.items())
        print(f"{name:40}", *told, f"n={row['auroc']['n']}")


if __name__ == "__main__":
    main()
