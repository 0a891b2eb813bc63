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

from _plants import MATTERS, PAIRS, RECORD, Plant, head_deltas, parts_of, planted, plants, run_on, truth_teller
from _scoring import COMBINED, chosen_weight, table
from _sensitivity import sensitivity
from _truth import LogOdds, owed, worths

import pinpoint
from pinpoint.data import ContrastPair, Dialogue
from pinpoint.measure import difference, head_means
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
TABLE = (*LOCATORS, COMBINED, *CONTRASTED, KNOCKOUT, ORACLE)
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
    before, tokenizer = truth_teller()
    parts = parts_of(plant, headed(model), before)
    measures = {"log_odds": LogOdds(tokenizer, material.pairs["affirmed"])}
    worth = worths(before, list(parts.values()), measures)["log_odds"]
    due, rise = dict(zip(parts, owed(worth), strict=True)), worth[-1] - worth[0]
    heads = [part for part in parts if part != "MLP"]
    return {
        "plant": plant._asdict(),
        "rise": rise,
        "owed": due,
        "matters": [head for head in heads if due[head] >= MATTERS * rise] if rise >= TAKEN else [],
        "found": _scores(plant, model, tokenizer, material, {}),
    }


def _rescored(organism: dict[str, Any], material: Material) -> dict[str, Any]:
    """A recorded organism with the scores of locators that it lacks."""
    if {*LOCATORS, *CONTRASTED, KNOCKOUT, ORACLE} <= organism["found"].keys():
        return organism
    plant = Plant(**organism["plant"])
    found = _scores(plant, planted(plant), truth_teller()[1], material, organism["found"])
    return organism | {"found": found}


def _ahead_of(found: dict[str, dict[str, Any]], groups: list[str]) -> dict[str, Any]:
    """Marks of the knockout minus those of other locators, organism by organism, with intervals."""

    def minus(name: str, measure: str) -> dict[str, Any]:
        sides = (found[one][measure]["values"] for one in (KNOCKOUT, name))
        return difference(*sides, groups, resamples=2000, seed=0).to_json()

    others = [name for name in TABLE if name not in (KNOCKOUT, ORACLE)]
    return {name: {measure: minus(name, measure) for measure in ("auroc", "average_precision")} for name in others}


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    taken = {part: [one for one in record[part] if one["matters"]] for part in ("development", "test")}
    weight = chosen_weight(taken["development"])
    places = dict.fromkeys(one["plant"]["place"] for one in taken["test"])
    found = table(taken["test"], TABLE, weight)
    return {
        "organisms": {part: [len(record[part]), len(taken[part])] for part in taken},
        "weight_of_direct_effect": weight,
        "test": found,
        "knockout_minus": _ahead_of(found, [str(one["plant"]["seed"]) for one in taken["test"]]),
        "by_place": {
            place: table([one for one in taken["test"] if one["plant"]["place"] == place], TABLE, weight)
            for place in places
        },
        "sensitivity": sensitivity(record["test"], TABLE, weight),
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
