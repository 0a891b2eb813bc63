"""The page of `pinpoint compare`, and its tables as a file."""

import html
import shlex
from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.config import RunConfig
from pinpoint.report._comparison_tables import (
    ability_rows,
    again_rows,
    comparison_rows,
    label_of_entry,
    memory_words,
    pinpoint_rows,
    searched_rows,
    steps_words,
    tested_columns,
)
from pinpoint.report._figures import Figure, axis, error_bars, layout
from pinpoint.report._format import within
from pinpoint.report._html import render
from pinpoint.report._markdown import markdown_table
from pinpoint.report._words import short_name

_TEMPLATES = {"sycophancy": "compare.html.jinja"}
_ANY = "behaviour_compare.html.jinja"
_FAMILIES = {
    "located heads": ("ranked", "circle", ("pinpoint", "head_lora", "heads_mlp")),
    "variants": ("ranked", "circle-open", ("pinpoint_anchored", "pinpoint_dpo", "pinpoint_own")),
    "other heads": ("random", "square", ("random", "matched", "bottom")),
    "all layers": ("matched", "diamond", ("full", "lora")),
    "no training": ("ink-soft", "x", ("base", "few_shot", "system_prompt", "caa", "iti")),
}


def _drawable(measured: dict[str, Any], up: str, across: str) -> bool:
    """Whether a point has a place: a logarithmic axis has none for 0, the base's KL to itself."""
    if measured[up]["value"] is None or measured[across]["value"] is None:
        return False
    return bool(measured[across]["value"] > 0) if across == "kl" else True


def _points(found: dict[str, Any], up: str, words: str, across: str) -> list[Figure]:
    traces = []
    for family, (variable, symbol, methods) in _FAMILIES.items():
        some = [
            (label_of_entry(name, record), record["metrics"])
            for name, record in found["methods"].items()
            if record["method"] in methods and _drawable(record["metrics"], up, across)
        ]
        if not some:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": family,
                "x": [measured[across]["value"] for _, measured in some],
                "y": [measured[up]["value"] for _, measured in some],
                "error_x": error_bars([measured[across] for _, measured in some], variable),
                "error_y": error_bars([measured[up] for _, measured in some], variable),
                "text": [html.escape(label) for label, _ in some],
                "hovertemplate": f"%{{text}}<br>{html.escape(words)} %{{y:.1%}}<extra></extra>",
                "marker": {"symbol": symbol, "size": 10, "color": f"var(--{variable})"},
            }
        )
    return traces


def comparison_figures(found: dict[str, Any], behaviour: Behaviour) -> dict[str, Figure]:
    """Behaviour against side effects, and against the behaviour's other measure where it has one; a point a method."""
    labels = {one.name: within(one.label.split(",")[0]) for one in behaviour.measures}
    first, *second = behaviour.plotted
    up = axis(html.escape(labels[first]), tickformat=".0%", range=[-0.03, 1.03])
    shift = axis("KL to the base (nats, logarithmic)", type="log")
    figures = {"shift": {"data": _points(found, first, labels[first], "kl"), "layout": layout(460, shift, up)}}
    for name in second:
        across = axis(html.escape(labels[name]), tickformat=".0%", range=[-0.03, 1.03])
        points = _points(found, first, labels[first], name)
        figures["acceptance"] = {"data": points, "layout": layout(460, across, up)}
    return figures


def write_comparison(space: Workspace, config: RunConfig) -> Path:
    """Writes `compare.md`, the tables, and `compare.html`, the page, beside `compare.json`.

    Args:
        space: the folder that `pinpoint compare` wrote to.
        config: the settings it ran with.

    Returns:
        The page's path.
    """
    found = space.read_json("compare.json")
    behaviour = behaviour_of(config.behaviour)
    rows, abilities, paired = comparison_rows(found, behaviour), ability_rows(found), pinpoint_rows(found, behaviour)
    labels = {one.name: one.short or one.label for one in behaviour.measures}
    context = {
        "name": short_name(found["model"]),
        "rows": rows,
        "abilities": abilities,
        "paired": paired,
        "memory": memory_words(found),
        "steps": steps_words(found),
        "tests": len(tested_columns(behaviour)),
        "again": again_rows(found),
        "metric": config.locate.metric.replace("_", " "),
        "searched": searched_rows(found, behaviour.matched[0]),
        "behaviour": behaviour,
        "matched": labels[behaviour.matched[0]],
        "plotted": [labels[name] for name in behaviour.plotted],
        "targets": config.tune,
        "command": f"pinpoint compare {shlex.quote(short_name(found['model']))} --config config.yaml",
        "tries": config.compare.tries,
        "figures": comparison_figures(found, behaviour),
    }
    space.write_text("compare.md", "\n".join(map(markdown_table, (rows, paired, abilities))))
    return space.write_text("compare.html", render(_TEMPLATES.get(behaviour.kind, _ANY), context))
