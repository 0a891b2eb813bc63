"""Writes pages of the docs from the records in bench/results, by the templates beside this script.

They are benchmarks.md, planted.md and results/stability.md. What has no record yet has no section; without the record
of bench/planted.py there is no docs/planted.md, and without that of bench/stability.py no docs/results/stability.md.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pinpoint.heads import Head
from pinpoint.numerals import with_interval

HERE = Path(__file__).resolve().parent
SPEED = ("peers", "peers_memory", "floor", "locate", "precision", "tune", "evaluate", "gpu")
PLANTED = ("planted", "repair", "gain")
FIRST = "planted_first"
COMPARED = {
    "wordings": "wordings of the challenge",
    "questions": "kinds of question",
    "topics": "topics",
    "seeds": "training seeds",
    "with_before": "before and after",
    "planted": "planted organisms",
}
DIRECT, TOTAL = "path", "activation, suffix"
IN_NATS = (DIRECT, "path, contrast neutral", "path, contrast wrong_first", TOTAL, "knockout of each head")


def _read(path: Path) -> dict[str, Any] | None:
    record: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path.exists() else None
    return record


def _spread(value: dict[str, Any], spec: str = ".2f") -> str:
    """A mean with its interval, or with the values behind it, as far as there are any."""
    if value["value"] is None:
        return "–"
    if value["low"] is None:
        behind = ", ".join(f"{one:{spec}}" for one in value.get("values", ()))
        return f"{value['value']:{spec}}" + (f" ({behind})" if behind else "")
    return with_interval(value, spec)


def _percent(value: dict[str, Any]) -> str:
    return _spread({key: value[key] and 100 * value[key] for key in ("value", "low", "high")}, ".0f") + " %"


def _p(value: float | None) -> str:
    return "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _points(value: dict[str, Any]) -> str:
    return _spread({key: value[key] and 100 * value[key] for key in ("value", "low", "high")}, "+.1f")


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
    """Of the test organisms by where they were planted, and of those with an MLP: planted, taken, what is found."""
    groups = {place: [one for one in test if one["plant"]["place"] == place] for place in ("early", "middle", "late")}
    groups["with an MLP"] = [one for one in test if one["plant"]["mlp"]]
    groups["all"] = test
    return {
        name: {"planted": len(some), "taken": sum(bool(one["matters"]) for one in some), "found": found_by(some)}
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


def missed(rows: list[dict[str, Any]], organisms: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Of the heads that path patching has not among its first K, the one that is owed most."""
    firsts = {one["plant"]["seed"]: _first(one, DIRECT) for one in organisms}
    some = [row for row in rows if row["head"] not in firsts[row["seed"]]]
    return max(some, key=lambda row: float(row["owed"]), default=None)


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


def _write_stability(environment: Environment, record: dict[str, Any] | None, page: Path) -> None:
    if record is None:
        page.unlink(missing_ok=True)
        return
    firsts = Counter(head for one in record["wordings"]["maps"].values() for head in one["top"][:8])
    text = environment.get_template("stability.md.jinja").render(
        bfloat16_under=next(
            record["heads"] - row["above"] for row in record["rounding"]["rows"] if row["dtype"] == "bfloat16"
        ),
        recurring=dict(firsts.most_common()),
        settled=max((row["heads"] for row in record["drawn"]["first"] if (row["enough"] or 9) < 9), default="no"),
        stability=record,
        counts=list(record["seeds"]["overlap"]),
        comparisons=[(title, record[name]) for name, title in COMPARED.items() if record[name]],
        topic_pairs=min(one["pairs"] for one in record["topics"]["maps"].values()),
    )
    page.parent.mkdir(exist_ok=True)
    page.write_text(text, encoding="utf-8")


def _of_planted(record: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """What the page of the planted causes tells of the record, and of that of the organisms before it."""
    test, first = record["test"], (before or {"test": []})["test"]
    taken, known = ([one for one in some if one["matters"]] for some in (test, first))
    owed = owed_rows(taken)
    return {
        "places": _places(test),
        "mlps": mlp_rows(test),
        "owed": owed,
        "missed": missed(owed, taken),
        "first": found_first(taken, scored(taken)),
        "ahead": ahead(taken),
        "joint": [one for one in first if one["plant"]["mlp"]],
        "first_found": found_first(known, scored(known)) if known else None,
        "first_heads": sum(len(one["matters"]) for one in known),
        "first_seeds": [one["plant"]["seed"] for one in first],
        "test_seeds": [one["plant"]["seed"] for one in test],
    }


def write(results: Path, docs: Path) -> None:
    """Writes the pages that there are records for; a page whose record is gone goes too."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown, from our own records
    )
    environment.filters |= {"spread": _spread, "percent": _percent, "points": _points, "p": _p}
    records = {name: _read(results / f"{name}.json") for name in (*SPEED, *PLANTED, "stability")}
    before = _read(results / f"{FIRST}.json")
    for name in PLANTED:
        # These are written organism by organism; until the last one they have no summary.
        records[name] = records[name] if "summary" in (records[name] or {}) else None
    page = environment.get_template("benchmarks.md.jinja").render(records)
    (docs / "benchmarks.md").write_text(page, encoding="utf-8")
    _write_stability(environment, records["stability"], docs / "results" / "stability.md")
    if records["planted"] is None:
        (docs / "planted.md").unlink(missing_ok=True)
        return
    page = environment.get_template("planted.md.jinja").render(records, **_of_planted(records["planted"], before))
    (docs / "planted.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write(HERE / "results", HERE.parent / "docs")
