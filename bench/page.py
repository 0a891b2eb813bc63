"""Writes pages of the docs from the records in bench/results, by the templates beside this script.

They are benchmarks.md, planted.md, results/stability.md and results/compare.md, with the pictures of the latter, of the
first and of results/sweep.md. What has no record yet has no section; without the record of bench/planted.py there is no
docs/planted.md, and without that of bench/stability.py no docs/results/stability.md.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from scipy.stats import bootstrap

from pinpoint.numerals import with_interval
from pinpoint.report._sweep import pareto_front

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._compared import picture, told  # noqa: E402
from bench._found import of_planted  # noqa: E402
from bench._front import Panel, Point, front  # noqa: E402
from bench._ratios import ratios  # noqa: E402

SPEED = ("peers", "peers_memory", "locate", "naive", "precision", "tune", "evaluate", "gpu")
PLANTED = ("planted", "repair", "gain")
COMPARED = {
    "wordings": "wordings of the challenge",
    "questions": "kinds of question",
    "topics": "topics",
    "seeds": "training seeds",
    "with_before": "before and after",
    "planted": "planted organisms",
}


def _read(path: Path) -> dict[str, Any] | None:
    record: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path.exists() else None
    return record


def _spread(value: dict[str, Any], spec: str = ".2f") -> str:
    """A mean with its interval, or with the values behind it, as far as there are any."""
    if value["value"] is None:
        return "–"
    few = value.get("values", ())
    if 0 < len(few) < 5:
        return f"{value['value']:{spec}} ({', '.join(f'{one:{spec}}' for one in few)})"
    return with_interval(value, spec)


def _over(values: Iterable[float | None], spec: str = ".3f", factor: float = 1, unit: str = "") -> str:
    """The mean of values with the least and the most of them in brackets; one alone is what it is."""
    known = [factor * value for value in values if value is not None]
    if not known:
        return "–"
    text = f"{sum(known) / len(known):{spec}}{unit}"
    return text if len(known) == 1 else f"{text} [{min(known):{spec}}, {max(known):{spec}}]"


def _couples(found: dict[str, Any], key: str = "correlation", spec: str = ".3f") -> str:
    return _over((one[key] for one in found["couples"]), spec)


def _shared(found: dict[str, Any], count: str) -> str:
    return _over((one["overlap"][count] for one in found["couples"]), ".0f", 100, " %")


def _percent(value: dict[str, Any]) -> str:
    return _spread({key: value[key] and 100 * value[key] for key in ("value", "low", "high")}, ".0f") + " %"


def _left(organisms: list[dict[str, Any]], way: str, where: str) -> dict[str, Any]:
    """The share of the distance before repair that a way leaves, over all organisms, with its bootstrap interval."""
    after, before = ([one[name]["distance"][where] for one in organisms] for name in (way, "before"))
    low, high = bootstrap(
        (after, before),
        lambda ours, theirs, axis: ours.sum(axis=axis) / theirs.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {"value": sum(after) / sum(before), "low": float(low), "high": float(high)}


def _p(value: float | None) -> str:
    return "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def _points(value: dict[str, Any]) -> str:
    return _spread({key: value[key] and 100 * value[key] for key in ("value", "low", "high")}, "+.1f")


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


def _write_compared(environment: Environment, results: Path, docs: Path) -> None:
    record = _read(results / "compare.json")
    if record is None:
        return
    text = environment.get_template("compare.md.jinja").render(told(record, _read(results / "compare_quick.json")))
    (docs / "results" / "compare.md").write_text(text, encoding="utf-8")
    (docs / "results" / "compare.svg").write_text(picture(record), encoding="utf-8")


def swept(record: dict[str, Any]) -> str:
    """Truthfulness against the KL to the base for every number of heads of a sweep, as an SVG."""
    best = {point["heads"] for point in pareto_front(record["heads"])}
    points = [
        Point(
            point["estimates"]["kl"],
            point["estimates"]["truthfulness"],
            f"{point['heads']}",
            "no other count is better in both" if point["heads"] in best else "another count is",
            written=True,
        )
        for point in record["heads"]
    ]
    panel = Panel("KL to the base, nats, logarithmic", "truthfulness", True, points)
    return front([panel], "Truthfulness against KL to the base by the number of tuned heads")


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
    environment.filters |= {"couples": _couples, "shared": _shared, "left": _left}
    records = {name: _read(results / f"{name}.json") for name in (*SPEED, *PLANTED, "stability")}
    for name in PLANTED:
        # These are written organism by organism; until the last one they have no summary.
        records[name] = records[name] if "summary" in (records[name] or {}) else None
    page = environment.get_template("benchmarks.md.jinja").render(records)
    (docs / "benchmarks.md").write_text(page, encoding="utf-8")
    (docs / "results").mkdir(exist_ok=True)
    if records["peers"] is not None:
        (docs / "results" / "peers.svg").write_text(ratios(records["peers"]), encoding="utf-8")
    _write_stability(environment, records["stability"], docs / "results" / "stability.md")
    _write_compared(environment, results, docs)
    if (sweep := _read(results / "sweep.json")) is not None:
        (docs / "results" / "sweep.svg").write_text(swept(sweep), encoding="utf-8")
    if records["planted"] is None:
        (docs / "planted.md").unlink(missing_ok=True)
        return
    told_of = of_planted(records["planted"], json.loads((results / "planted_first.json").read_text("utf-8")))
    page = environment.get_template("planted.md.jinja").render(records, **told_of)
    (docs / "planted.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write(HERE / "results", HERE.parent / "docs")
