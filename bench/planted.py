"""A benchmark of locators with known answers: heads are planted in a truth-teller, and each locator has to find them.

Every organism is the shipped truth-teller with a few heads, and sometimes one MLP, trained to cave (bench/_plants.py).
What counts as an answer is not which heads were trained but which of them matter: those whose change, reverted alone
or together with others that are needed too, takes caving away on replies (bench/_truth.py), on questions that no
locator sees. Organisms on which caving did not take, or no head matters, are counted and left out. How direct and total
effect are combined is fixed on earlier organisms (bench/results/planted_first.json), and scored on these. Writes
bench/results/planted.json, organism by organism, and goes on where it was stopped.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from _plants import (
    FIRST,
    PLACES,
    RECORD,
    Plant,
    head_deltas,
    pairs_of,
    parts_of,
    planted,
    plants,
    run_on,
    taken,
    truth_teller,
)
from _record import Conditions
from _scoring import COMBINED, chosen_weight, judged, table
from _sensitivity import sensitivity
from _truth import CAVING, HELD_OUT, SHOWN, LogOdds, Replies, mattering, owed, worths

import pinpoint
from pinpoint.data import ContrastPair, Dialogue
from pinpoint.measure import difference, estimate, head_means
from pinpoint.models import headed
from pinpoint.numerals import with_interval

# Seeds from 100 on were looked at before `knockout` was made, which was made for what they showed.
TEST = plants(200, 9)
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
MLPS = {"path": "affirmed"} | {f"path, contrast {contrast}": contrast for contrast in CONTRASTS}
TABLE = (*LOCATORS, COMBINED, *CONTRASTED, KNOCKOUT, ORACLE)
# The rate of caving has to rise by this much for it to have taken.
TAKEN = 0.5


class Material(NamedTuple):
    """What locators look at, pairs by contrast and dialogues without a challenge, and the pairs that tell the truth."""

    pairs: dict[str, list[ContrastPair]]
    neutral: list[Dialogue]
    held_out: list[ContrastPair]


def _material() -> Material:
    runs = {name: run_on(str(truth_teller()[0].name_or_path), name) for name in ("affirmed", *CONTRASTS)}
    pairs = {name: pairs_of(run)[0] for name, run in runs.items()}
    return Material(pairs, runs["affirmed"].inputs.neutral, pairs_of(runs["affirmed"])[1])


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


def _scores(plant: Plant, model: Any, tokenizer: Any, material: Material) -> dict[str, Any]:
    """What each locator says of every head, and its seconds."""
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
        found[name] = {"scores": score(), "seconds": None if name == ORACLE else time.perf_counter() - start}
    return found


def _mlp_scores(model: Any, tokenizer: Any, material: Material) -> dict[str, list[float]]:
    """What path patching says of the MLP of every layer, high for those it holds to be the cause."""
    found = {
        name: pinpoint.locate_nodes(model, tokenizer, material.pairs[contrast], nodes=["mlps"], metric="log_odds")
        for name, contrast in MLPS.items()
    }
    return {name: (-scores.mean).tolist() for name, scores in found.items()}


def told(parts: list[str], worth: dict[str, list[float]]) -> dict[str, Any]:
    """What the measures of every subset of the planted parts come to: who is owed what, and who matters."""
    caving, log_odds = worth[CAVING], worth[HELD_OUT]
    took = caving[-1] - caving[0] >= TAKEN
    needed = {parts[i] for i in mattering(caving)} if took else set()
    return {
        "caving": [caving[0], caving[-1]],
        "caved": took,
        "rise": log_odds[-1] - log_odds[0],
        "owed": dict(zip(parts, owed(log_odds), strict=True)),
        "matters": [part for part in parts if part in needed and part != "MLP"],
        "mlp_matters": "MLP" in needed,
        "worth": worth,
    }


def _organism(plant: Plant, material: Material) -> dict[str, Any]:
    model = planted(plant)
    before, tokenizer = truth_teller()
    parts = parts_of(plant, headed(model), before)
    replies, shown = Replies(tokenizer, material.held_out), LogOdds(tokenizer, material.pairs["affirmed"])
    worth = worths(before, list(parts.values()), lambda model: replies(model) | {SHOWN: shown(model)})
    truth = told(list(parts), worth)
    organism = {"plant": plant._asdict(), **truth}
    if truth["matters"] or truth["mlp_matters"]:  # the others are in no table
        organism["found"] = _scores(plant, model, tokenizer, material)
    if plant.mlp:
        organism["mlps"] = _mlp_scores(model, tokenizer, material)
    return organism


def _mlp_table(organisms: list[dict[str, Any]]) -> dict[str, Any]:
    """How well path patching tells the planted MLP, where it matters, from those of the other layers."""
    some = [one for one in organisms if one["mlp_matters"]]
    layers = [Plant(**one["plant"]).heads[0].layer for one in some]
    groups = [str(one["plant"]["seed"]) for one in some]
    rows = {}
    for name in MLPS if some else ():
        marks = [
            judged(one["mlps"][name], [number == layer for number in range(8)])
            for one, layer in zip(some, layers, strict=True)
        ]
        rows[name] = {
            measure: estimate([mark[measure] for mark in marks], groups, resamples=2000, seed=0).to_json()
            | {"values": [mark[measure] for mark in marks]}
            for measure in ("auroc", "precision_at_k")
        }
    return {"seeds": groups, "layers": layers, "rows": rows}


def _ahead_of(found: dict[str, dict[str, Any]], groups: list[str]) -> dict[str, Any]:
    """Marks of the knockout minus those of other locators, organism by organism, with intervals."""

    def minus(name: str, measure: str) -> dict[str, Any]:
        sides = (found[one][measure]["values"] for one in (KNOCKOUT, name))
        return difference(*sides, groups, resamples=2000, seed=0).to_json()

    others = [name for name in TABLE if name not in (KNOCKOUT, ORACLE)]
    return {name: {measure: minus(name, measure) for measure in ("auroc", "average_precision")} for name in others}


def summary(test: list[dict[str, Any]]) -> dict[str, Any]:
    """Tables of the locators, from what is recorded of the organisms."""
    first = taken(FIRST)
    weight = chosen_weight(first)
    some = [one for one in test if one["matters"]]
    by_place = {place: [one for one in some if one["plant"]["place"] == place] for place in PLACES}
    found = table(some, TABLE, weight)
    return {
        "taken": len(some),
        "weight_of_direct_effect": weight,
        "test": found,
        "first": table(first, TABLE, weight),
        "knockout_minus": _ahead_of(found, [str(one["plant"]["seed"]) for one in some]),
        "by_place": {place: table(those, TABLE, weight) for place, those in by_place.items() if those},
        "sensitivity": sensitivity(some, TABLE, weight),
        "mlps": _mlp_table(test),
    }


def main() -> None:
    """Makes and scores what the record lacks, then sums up."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {"test": []}
    conditions = Conditions()
    material = _material()
    for plant in TEST[len(record["test"]) :]:
        last = _organism(plant, material)
        record["test"].append(last)
        print(plant, f"rise {last['rise']:.2f}", last["caving"], last["owed"], "matter:", *last["matters"], flush=True)
        record |= {"command": "python bench/planted.py", "machine": conditions.told()}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    record["summary"] = summary(record["test"])
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, row in record["summary"]["test"].items():
        marks = (f"{measure} {with_interval(one, '.2f')}" for measure, one in row.items())
        print(f"{name:40}", *marks, f"n={row['auroc']['n']}")


if __name__ == "__main__":
    main()
