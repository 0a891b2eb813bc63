"""The table and the page of `pinpoint compare`."""

import html
import shlex
from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.config import RunConfig
from pinpoint.report._figures import Figure, axis, layout
from pinpoint.report._format import DASH, within
from pinpoint.report._html import render
from pinpoint.report._markdown import markdown_table
from pinpoint.report._rows import BUILT_IN
from pinpoint.report._words import short_name

LABELS = {
    "base": "base",
    "pinpoint": "pinpoint (located heads)",
    "full": "full fine-tuning",
    "lora": "LoRA, all layers",
    "head_lora": "LoRA on the located heads",
    "heads_mlp": "located heads + top MLP",
    "random": "random heads",
    "matched": "layer-matched heads",
    "bottom": "bottom heads",
    "pinpoint_anchored": "pinpoint + KL to the base",
    "pinpoint_dpo": "pinpoint, DPO",
    "pinpoint_own": "pinpoint, own answers",
    "few_shot": "few-shot prompt",
    "system_prompt": "system prompt",
    "caa": "activation addition (CAA)",
    "iti": "inference-time intervention",
}
_TEMPLATES = {"sycophancy": "compare.html.jinja"}
_ANY = "behaviour_compare.html.jinja"


def _rate(estimate: dict[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return DASH
    value = f"{100 * estimate['value']:.1f}"
    if estimate["low"] is None:
        return f"{value} (n={estimate['n']})"
    return f"{value} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def _nats(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None or estimate["low"] is None:
        return DASH
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


def _worst_ability(record: dict[str, Any]) -> str:
    changes = {name: one for name, one in record["versus_base"]["abilities"].items() if one["value"] is not None}
    if not changes:
        return DASH
    worst = min(changes, key=lambda name: changes[name]["value"])
    one = changes[worst]
    interval = "" if one["low"] is None else f" [{100 * one['low']:+.1f}, {100 * one['high']:+.1f}]"
    return f"{100 * one['value']:+.1f}{interval} {worst.replace('_', ' ')}"


def _p(tests: dict[str, Any], name: str) -> str:
    if name not in tests:
        return DASH
    p = tests[name]["p_holm"]
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def label_of_entry(name: str, record: dict[str, Any]) -> str:
    """A method's name as people say it, with its draw."""
    label, draw = LABELS[record["method"]], name.removeprefix(record["method"]).strip("_")
    return f"{label} {draw}".strip()


def comparison_rows(found: dict[str, Any], behaviour: Behaviour = BUILT_IN) -> list[list[str]]:
    """The table of `pinpoint compare` as texts, its header first. Rates in % and KL in nats, with 95 % intervals.

    Args:
        found: the content of `compare/compare.json`.
        behaviour: whose measures it holds.
    """
    rates = [one for one in behaviour.measures if one.short]
    header = ["method", *(one.short for one in rates), "worst ability, points", "KL to base", "trained parameters"]
    header += ["seconds", *(f"p {label}" for label in behaviour.tested.values())]
    rows = [header]
    tests = found["tests"]["pinpoint"]
    for name, record in found["methods"].items():
        measured = record["metrics"]
        rows.append(
            [
                label_of_entry(name, record),
                *(_rate(measured[one.name]) for one in rates),
                DASH if name == "base" else _worst_ability(record),
                DASH if name == "base" else _nats(measured["kl"]),
                f"{record['trainable_parameters']:,}" if record["trainable_parameters"] else DASH,
                f"{record['seconds']:.0f}" if record["seconds"] else DASH,
                *(_p(tests[measure], name) for measure in behaviour.tested),
            ]
        )
    return rows


_FAMILIES = {
    "located heads": ("ranked", "circle", ("pinpoint", "head_lora", "heads_mlp")),
    "variants": ("ranked", "circle-open", ("pinpoint_anchored", "pinpoint_dpo", "pinpoint_own")),
    "other heads": ("random", "square", ("random", "matched", "bottom")),
    "all layers": ("matched", "diamond", ("full", "lora")),
    "no training": ("ink-soft", "x", ("base", "few_shot", "system_prompt", "caa", "iti")),
}


def _spread(estimate: dict[str, Any]) -> tuple[float, float]:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    return (0.0, 0.0) if low is None else (high - value, value - low)


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
                "error_x": _bars([measured[across] for _, measured in some], variable),
                "error_y": _bars([measured[up] for _, measured in some], variable),
                "text": [html.escape(label) for label, _ in some],
                "hovertemplate": f"%{{text}}<br>{html.escape(words)} %{{y:.1%}}<extra></extra>",
                "marker": {"symbol": symbol, "size": 10, "color": f"var(--{variable})"},
            }
        )
    return traces


def _bars(estimates: list[dict[str, Any]], variable: str) -> Figure:
    spreads = [_spread(estimate) for estimate in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high for high, _ in spreads],
        "arrayminus": [low for _, low in spreads],
        "thickness": 1,
        "width": 0,
        "color": f"var(--{variable})",
    }


def _figures(found: dict[str, Any], behaviour: Behaviour) -> dict[str, Figure]:
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


def _again(found: dict[str, Any]) -> list[list[str]]:
    again = found["methods"]["pinpoint"].get("located_again")
    if not again:
        return []

    def cell(what: str, when: str, head: str, spec: str) -> str:
        one = again[what][when][head]
        if one["low"] is None:
            return format(one["value"], spec)
        return f"{one['value']:{spec}} [{one['low']:{spec}}, {one['high']:{spec}}]"

    return [
        [
            head,
            *(cell("effects", when, head, "+.3f") for when in ("before", "after")),
            *(cell("attention", when, head, ".0%") for when in ("before", "after")),
        ]
        for head in found["heads"]
    ]


def _chosen(setting: dict[str, Any]) -> str:
    parts = []
    for key, value in setting.items():
        shown = f"{value:.2g}" if isinstance(value, float) else ", ".join(value) if isinstance(value, list) else value
        parts.append(f"{key.replace('_', ' ')} {shown}")
    return "; ".join(parts) or DASH


def _searched(found: dict[str, Any], rate: str) -> list[list[str]]:
    rows = []
    for name, record in found["methods"].items():
        if record["setting"]:
            tried = [
                f"{one['setting']:.2g} ({one['metrics'][rate]:.0%}, {one['metrics']['kl']:.4f})"
                for one in record["searched"]
            ]
            rows.append([label_of_entry(name, record), _chosen(record["setting"]), "; ".join(tried)])
    return rows


def write_comparison(space: Workspace, config: RunConfig) -> Path:
    """Writes `compare.md`, the table, and `compare.html`, the page, beside `compare.json`.

    Args:
        space: the folder that `pinpoint compare` wrote to.
        config: the settings it ran with.

    Returns:
        The page's path.
    """
    found = space.read_json("compare.json")
    behaviour = behaviour_of(config.behaviour)
    rows = comparison_rows(found, behaviour)
    labels = {one.name: one.short or one.label for one in behaviour.measures}
    context = {
        "name": short_name(found["model"]),
        "rows": rows,
        "again": _again(found),
        "metric": config.locate.metric.replace("_", " "),
        "searched": _searched(found, behaviour.matched[0]),
        "behaviour": behaviour,
        "matched": labels[behaviour.matched[0]],
        "plotted": [labels[name] for name in behaviour.plotted],
        "targets": config.tune,
        "command": f"pinpoint compare {shlex.quote(found['model'])} --config config.yaml",
        "tries": config.compare.tries,
        "figures": _figures(found, behaviour),
    }
    space.write_text("compare.md", markdown_table(rows))
    return space.write_text("compare.html", render(_TEMPLATES.get(behaviour.kind, _ANY), context))
