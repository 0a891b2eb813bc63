"""The tables and the page of `pinpoint sweep`."""

import html
from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.config import RunConfig
from pinpoint.numerals import with_interval
from pinpoint.report._figures import Figure, axis, error_bars, layout
from pinpoint.report._format import within
from pinpoint.report._html import render
from pinpoint.report._markdown import markdown_table
from pinpoint.report._rows import BUILT_IN
from pinpoint.report._words import short_name

SWEEP_TITLES = {
    "heads": "How many heads",
    "data": "How many questions to tune on",
    "pairs": "How many pairs to rank by",
}
_STYLES = (("ranked", "circle"), ("matched", "diamond"), ("random", "square"), ("ink-soft", "x"))


def _labels(found: dict[str, Any], behaviour: Behaviour) -> dict[str, str]:
    """The rates that were measured, with the behaviour's words for them."""
    labels = {one.name: within(one.label.split(",")[0]) for one in behaviour.measures}
    measured = found["heads"][0]["metrics"] if "heads" in found else {}
    return {name: labels.get(name, name) for name in measured if name != "kl"}


def _tuned(points: list[dict[str, Any]], first: str, labels: dict[str, str], chosen: int | None) -> list[list[str]]:
    counts = points[0]["estimates"]
    named = [f"{label}, n = {counts[name]['n']}" for name, label in labels.items()]
    rows = [[first, *named, f"KL, n = {counts['kl']['n']}", "reached", "steps", "trained", "seconds"]]
    for point in points:
        rows.append(
            [
                f"{point[first]} *" if point[first] == chosen else str(point[first]),
                *(with_interval(point["estimates"][name], ".1f", 100) for name in labels),
                with_interval(point["estimates"]["kl"], ".4f"),
                "yes" if point["reached"] else "no",
                str(point["steps"]),
                f"{point['trainable_parameters']:,}",
                f"{point['seconds']:.0f}",
            ]
        )
    return rows


def _lower(point: dict[str, Any]) -> float:
    rates: list[float] = [value for name, value in point["metrics"].items() if name != "kl"]
    return min(rates)


def pareto_front(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points that no other one beats at its lower rate and at its KL alike, by KL."""
    front: list[dict[str, Any]] = []
    for point in sorted(points, key=lambda point: (point["metrics"]["kl"], -_lower(point))):
        if not front or _lower(point) > _lower(front[-1]):
            front.append(point)
    return front


def sweep_tables(found: dict[str, Any], behaviour: Behaviour = BUILT_IN) -> dict[str, list[list[str]]]:
    """The tables of `pinpoint sweep` as texts, each with its header first. Rates in % of the validation questions.

    Args:
        found: the content of `sweep/sweep.json`.
        behaviour: whose rates it holds.
    """
    labels, tables = _labels(found, behaviour), {}
    if "heads" in found:
        tables["heads"] = _tuned(found["heads"], "heads", labels, found["chosen"])
    if "data" in found:
        tables["data"] = _tuned(found["data"], "questions", labels, None)
    if "pairs" in found:
        header = ["pairs", f"first {found['pairs']['heads']} heads that agree, %", "rank correlation"]
        rows = [
            [str(row["pairs"]), with_interval(row["overlap"], ".0f", 100), with_interval(row["correlation"], ".2f")]
            for row in found["pairs"]["rows"]
        ]
        tables["pairs"] = [header, *rows]
    return tables


def _traces(points: list[dict[str, Any]], labels: dict[str, str], x: list[float], texts: list[str]) -> list[Figure]:
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": html.escape(words),
            "x": x,
            "y": [point["metrics"][name] for point in points],
            "error_y": error_bars([point["estimates"][name] for point in points], variable),
            "text": texts,
            "hovertemplate": f"%{{text}}: {html.escape(words)} %{{y:.1%}}<extra></extra>",
            "line": {"color": f"var(--{variable})", "width": 1},
            "marker": {"symbol": symbol, "size": 9, "color": f"var(--{variable})"},
        }
        for (name, words), (variable, symbol) in zip(labels.items(), _STYLES, strict=False)
    ]


def _front(points: list[dict[str, Any]]) -> Figure:
    """The Pareto front as steps: the best lower rate that is to be had at a KL or less."""
    front = pareto_front(points)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front, lower rate",
        "x": [point["metrics"]["kl"] for point in front],
        "y": [_lower(point) for point in front],
        "line": {"shape": "hv", "width": 2, "dash": "dot", "color": "var(--ink)"},
        "text": [f"{point['heads']} heads" for point in front],
        "hovertemplate": "on the front: %{text}<extra></extra>",
    }


def _numbers(points: list[dict[str, Any]], rate: str) -> Figure:
    """The number of heads beside each point of the first rate: the axes do not tell it."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [point["metrics"]["kl"] for point in points],
        "y": [point["metrics"][rate] for point in points],
        "text": [str(point["heads"]) for point in points],
        "textposition": "top center",
        "textfont": {"color": "var(--ink)"},
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def sweep_figures(found: dict[str, Any], behaviour: Behaviour) -> dict[str, Figure]:
    """Behaviour against side effects, a point for each number of heads; behaviour by questions, agreement by pairs."""
    labels = _labels(found, behaviour)
    up, figures = axis("on validation questions", tickformat=".0%", range=[-0.03, 1.03]), {}
    if points := found.get("heads"):
        texts = [f"{point['heads']} heads, KL {point['metrics']['kl']:.4f}" for point in points]
        traces = _traces(points, labels, [point["metrics"]["kl"] for point in points], texts)
        traces += [_front(points), _numbers(points, next(iter(labels)))]
        across = axis("KL to the base (nats, logarithmic)", type="log")
        figures["heads"] = {"data": traces, "layout": layout(440, across, up)}
    if points := found.get("data"):
        texts = [f"{point['questions']} questions" for point in points]
        traces = _traces(points, labels, [point["questions"] for point in points], texts)
        figures["data"] = {"data": traces, "layout": layout(360, _logarithmic("questions", points), up)}
    if rows := found.get("pairs", {}).get("rows"):
        points = [{"pairs": row["pairs"], "estimates": row, "metrics": _values(row)} for row in rows]
        labels = {"overlap": "first heads that agree", "correlation": "rank correlation"}
        places = [row["pairs"] for row in rows]
        traces = _traces(points, labels, places, [f"{place} pairs" for place in places])
        agreement = axis("with the ranking by other pairs", tickformat=".0%")
        figures["pairs"] = {"data": traces, "layout": layout(360, _logarithmic("pairs", points), agreement)}
    return figures


def _values(row: dict[str, Any]) -> dict[str, float]:
    return {name: row[name]["value"] for name in ("overlap", "correlation")}


def _logarithmic(what: str, points: list[dict[str, Any]]) -> Figure:
    places = [point[what] for point in points]
    ticks = {"tickmode": "array", "tickvals": places, "ticktext": list(map(str, places))}
    return axis(f"{what} (logarithmic)", type="log", **ticks)


def write_sweep(space: Workspace, config: RunConfig) -> Path:
    """Writes `sweep.md`, the tables, and `sweep.html`, the page, beside `sweep.json`.

    Args:
        space: the folder that `pinpoint sweep` wrote to.
        config: the settings it ran with.

    Returns:
        The page's path.
    """
    found = space.read_json("sweep.json")
    behaviour = behaviour_of(config.behaviour)
    tables, labels = sweep_tables(found, behaviour), _labels(found, behaviour)
    context = {
        "name": short_name(found["model"]),
        "behaviour": behaviour,
        "tables": tables,
        "titles": SWEEP_TITLES,
        "found": found,
        "front": [point["heads"] for point in pareto_front(found.get("heads", []))],
        "targets": [f"{100 * value:g} % {labels.get(name, name)}" for name, value in found["targets"].items()],
        "stops": config.tune.stop_early,
        "figures": sweep_figures(found, behaviour),
    }
    parts = [f"## {SWEEP_TITLES[kind]}\n\n{markdown_table(rows)}" for kind, rows in tables.items()]
    space.write_text("sweep.md", "\n".join(parts))
    return space.write_text("sweep.html", render("sweep.html.jinja", context))
