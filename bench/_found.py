"""What the page of the planted causes tells of its record: which heads each locator finds, and which it misses."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pinpoint.heads import Head

DIRECT, TOTAL, KNOCKOUT = "path", "activation, suffix", "knockout of each head"
ORACLE, AIM = "|weight change| (oracle)", 0.95
IN_NATS = (DIRECT, "path, contrast neutral", "path, contrast wrong_first", TOTAL, KNOCKOUT)


def _first(organism: dict[str, Any], locator: str) -> set[str]:
    """The heads that a locator puts first, as many as there are that matter."""
    scores = organism["found"][locator]["scores"]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return {f"L{i // 8}.H{i % 8}" for i in order[: len(organism["matters"])]}


def found_by(organisms: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many heads that matter the direct effect finds, the total effect, both, or neither."""
    counts = dict.fromkeys(("both", "direct", "total", "neither"), 0)
    for one in organisms:
        if not one["matters"]:
            continue
        direct, total = _first(one, DIRECT), _first(one, TOTAL)
        for head in one["matters"]:
            name = {(True, True): "both", (True, False): "direct", (False, True): "total"}
            counts[name.get((head in direct, head in total), "neither")] += 1
    return counts


def _places(test: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of the test organisms by where they were planted, and of those with an MLP: how many caved, and what is found."""
    groups = {place: [one for one in test if one["plant"]["place"] == place] for place in ("early", "middle", "late")}
    groups["with an MLP"] = [one for one in test if one["plant"]["mlp"]]
    groups["all"] = test
    return {
        name: {
            "planted": len(some),
            "caved": sum(one["caved"] for one in some),
            "taken": sum(bool(one["matters"]) for one in some),
            "mlps": sum(one["mlp_matters"] for one in some),
            "found": found_by(some),
        }
        for name, some in groups.items()
    }


def _ranks(organism: dict[str, Any], locator: str) -> dict[str, int]:
    """Where a locator puts every head, from 1."""
    scores = organism["found"][locator]["scores"]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return {f"L{i // 8}.H{i % 8}": rank for rank, i in enumerate(order, 1)}


def scored(organisms: list[dict[str, Any]]) -> list[str]:
    """The locators that every organism was scored by."""
    return [name for name in organisms[0]["found"] if all(name in one["found"] for one in organisms)]


def owed_rows(organisms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every head that matters: what it is owed, and its effect and rank by each locator that has effects in nats."""
    rows, locators = [], [name for name in IN_NATS if name in scored(organisms)]
    for one in organisms:
        ranks = {name: _ranks(one, name) for name in locators}
        for head in one["matters"]:
            layer, number = (int(part[1:]) for part in head.split("."))
            effects = {
                name: {"effect": one["found"][name]["scores"][8 * layer + number], "rank": ranks[name][head]}
                for name in locators
            }
            rows.append({"seed": one["plant"]["seed"], "head": head, "owed": one["owed"][head], "effects": effects})
    return rows


def found_first(organisms: Iterable[dict[str, Any]], locators: Iterable[str]) -> dict[str, int]:
    """How many of the heads that matter each locator has among its first K, over all organisms."""
    some = list(organisms)
    return {name: sum(len(_first(one, name) & {*one["matters"]}) for one in some) for name in locators}


def missed(rows: Iterable[dict[str, Any]], organisms: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the heads that matter, those that path patching has not among its first K, by what they are owed."""
    firsts = {one["plant"]["seed"]: _first(one, DIRECT) for one in organisms}
    some = (row for row in rows if row["head"] not in firsts[row["seed"]])
    return sorted(some, key=lambda row: -float(row["owed"]))


def lower(now: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """By measure, the locators whose mean is lower than it was before."""
    return {
        measure: [name for name, row in before.items() if now[name][measure]["value"] < row[measure]["value"]]
        for measure in ("auroc", "average_precision")
    }


def mlp_rows(organisms: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Organisms with a planted MLP: its layer, and its rank among the MLPs by each contrast."""
    rows = []
    for one in organisms:
        if one["plant"]["mlp"]:
            layer = min(Head.parse(part).layer for part in one["owed"] if part != "MLP")
            ranks = {name: 1 + sum(score > scores[layer] for score in scores) for name, scores in one["mlps"].items()}
            rows.append(one | {"layer": layer, "ranks": ranks})
    return rows


def ahead(organisms: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Heads that were not planted and that path patching puts among the first two, and how often."""
    counts: Counter[str] = Counter()
    for one in organisms:
        scores = one["found"][DIRECT]["scores"]
        first = sorted(range(len(scores)), key=lambda i: -scores[i])[:2]
        counts.update(name for i in first if (name := f"L{i // 8}.H{i % 8}") not in one["owed"])
    return dict(counts.most_common())


def of_planted(record: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What the page of the planted causes tells of the record, and of that of the organisms before it."""
    test, first = record["test"], before["test"]
    taken, known = ([one for one in some if one["matters"]] for some in (test, first))
    owed = owed_rows(taken)
    unseen = missed(owed, taken)
    others = {name: row for name, row in record["summary"]["test"].items() if name not in (KNOCKOUT, ORACLE)}
    return {
        "places": _places(test),
        "mlps": mlp_rows(test),
        "owed": owed,
        "planted_heads": sum(one["plant"]["count"] for one in taken),
        "reached": sum(row["auroc"]["value"] >= AIM for row in others.values()),
        "missed": unseen,
        "alike": [one for one in unseen if one["effects"][KNOCKOUT]["effect"] > one["effects"][DIRECT]["effect"]],
        "lower": lower(record["summary"]["test"], record["summary"]["first"]),
        "first": found_first(taken, scored(taken)),
        "ahead": ahead(taken),
        "joint": [one for one in first if one["plant"]["mlp"]],
        "first_found": found_first(known, scored(known)),
        "first_heads": sum(len(one["matters"]) for one in known),
        "first_seeds": [one["plant"]["seed"] for one in first],
        "test_seeds": [one["plant"]["seed"] for one in test],
    }
