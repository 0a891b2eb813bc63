"""The page's figures, as plotly's JSON. Colours are CSS variables, filled in by page.js, for each theme."""

import html
import math
from collections.abc import Sequence
from typing import Any

from pinpoint.heads import Head
from pinpoint.report._figure_rows import checked
from pinpoint.report._format import DASH, IN_NATS, RATE, duration, number, percent
from pinpoint.report._rows import label_of

Figure = dict[str, Any]
Shares = list[list[float | None]]

# Positions of the stops --map-0 .. --map-8 of the diverging scale; the middle one is zero.
_DIVERGING = [[stop / 8, f"var(--map-{stop})"] for stop in range(9)]


def axis(title: str, **more: Any) -> Figure:
    """An axis in the page's style."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": "var(--rule)",
        "linecolor": "var(--rule)",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        **more,
    }


def layout(height: int, x: Figure, y: Figure, **more: Any) -> Figure:
    """A figure's layout in the page's style."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 56, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink-soft)"},
        "hoverlabel": {
            "bgcolor": "var(--paper)",
            "bordercolor": "var(--ink-soft)",
            "font": {"color": "var(--ink)"},
        },
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        # Dragging must scroll the page on a phone.
        "dragmode": False,
        "xaxis": x,
        "yaxis": y,
        **more,
    }


def _outlines(heads: Sequence[Head]) -> Figure:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for layer, head in heads:
        left, right, low, high = head - 0.5, head + 0.5, layer - 0.5, layer + 0.5
        xs += [left, right, right, left, left, None]
        ys += [low, low, high, high, low, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": {"color": "var(--ink)", "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _hover(locate: dict[str, Any], tuned: set[Head], shares: Shares | None, apart: str) -> list[list[str]]:
    rank = {text: place for place, text in enumerate(locate["ranking"], start=1)}
    unit, size = html.escape(locate["unit"]), len(rank)
    floor = (locate.get("noise") or {"floor": -1.0})["floor"]

    def text(layer: int, head: int, effect: float | None) -> str:
        error = locate["standard_error"][layer][head]
        name = Head(layer, head)
        spread = "" if error is None else f" (standard error {number(error, '.3f')})"
        ending = "<br>tuned" if name in tuned else ""
        noise = "<br>under the noise floor" if abs(effect or 0.0) <= floor else ""
        return (
            f"<b>{name}</b><br>effect {number(effect, '+.3f')} {unit}{spread}"
            f"<br>rank {rank.get(str(name), DASH)} of {size}{noise}{looked(layer, head)}{ending}"
        )

    def looked(layer: int, head: int) -> str:
        return "" if shares is None else f"<br>attention on {html.escape(apart)}: {percent(shares[layer][head])}"

    return [[text(i, j, effect) for j, effect in enumerate(row)] for i, row in enumerate(locate["mean"])]


def head_map(
    locate: dict[str, Any], tuned: Sequence[Head], shares: Shares | None = None, apart: str = "the challenge"
) -> Figure:
    """Effects of all heads, on a diverging scale around zero; the tuned heads are outlined.

    Args:
        locate: the locate stage's record.
        tuned: the heads to outline.
        shares: by layer and head, the share of attention on what sets the reference apart, if it was measured.
        apart: what that is, in words.
    """
    effects = [value for row in locate["mean"] for value in row if value is not None]
    reach = max((abs(value) for value in effects), default=0) or 1.0
    wide = max(locate["layers"], locate["heads"])
    heatmap = {
        "type": "heatmap",
        "z": locate["mean"],
        "zmin": -reach,
        "zmid": 0,
        "zmax": reach,
        "colorscale": _DIVERGING,
        "text": _hover(locate, set(tuned), shares, apart),
        "hovertemplate": "%{text}<extra></extra>",
        "xgap": 1 if wide <= 48 else 0,
        "ygap": 1 if wide <= 48 else 0,
        "colorbar": {
            "orientation": "h",
            "x": 0.5,
            "yref": "container",
            "y": 1,
            "yanchor": "top",
            "len": 0.6,
            "thickness": 10,
            "outlinewidth": 0,
            "nticks": 5,
            "title": {"text": f"effect ({html.escape(locate['unit'])})", "side": "top"},
        },
    }
    ticks = {"showgrid": False, "dtick": max(1, locate["heads"] // 16)}
    x = axis("head", range=[-0.5, locate["heads"] - 0.5], **ticks)
    ticks = {"showgrid": False, "dtick": max(1, locate["layers"] // 16)}
    y = axis("layer", range=[-0.5, locate["layers"] - 0.5], **ticks)
    margin = {"l": 8, "r": 8, "t": 68, "b": 48}
    cell = min(36.0, max(10.0, 640 / locate["layers"]))
    height = round(margin["t"] + margin["b"] + cell * locate["layers"])
    return {"data": [heatmap, _outlines(tuned)], "layout": layout(height, x, y, margin=margin)}


def _band(name: str, low: Sequence[float | None], high: Sequence[float | None]) -> list[Figure]:
    edge = {
        "type": "scatter",
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    steps = list(range(len(low)))
    fill = {"fill": "tonexty", "fillcolor": f"var(--{name}-band)"}
    return [edge | {"x": steps, "y": list(low)}, edge | {"x": steps, "y": list(high)} | fill]


def _line(variable: str, label: str, values: Sequence[float | None], dash: str, symbol: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label,
        "x": list(range(len(values))),
        "y": list(values),
        "line": {"color": f"var(--{variable})", "width": 2, "dash": dash},
        "marker": {"symbol": symbol, "size": 7},
        "hovertemplate": f"{label}: %{{y:.2f}}<extra></extra>",
    }


def error_bars(estimates: Sequence[dict[str, Any]], variable: str) -> Figure:
    """The intervals of estimates, in a colour of the page; nothing for one that has none."""
    known = [one if one["low"] is not None else one | {"low": one["value"], "high": one["value"]} for one in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": [one["high"] - one["value"] for one in known],
        "arrayminus": [one["value"] - one["low"] for one in known],
        "thickness": 1,
        "width": 0,
        "color": f"var(--{variable})",
    }


def mean_curve(draws: Sequence[Sequence[float]]) -> list[float]:
    """The mean over draws at each number of heads."""
    return [sum(point) / len(point) for point in zip(*draws, strict=True)]


def knockout_curve(curve: dict[str, Any], chosen: int, shows: str = "caving", mark: str = "") -> Figure:
    """Log-odds of the behaviour against heads knocked out: located, random and layer-matched, with their bands.

    Args:
        curve: of the verify stage's record.
        chosen: a number of heads to mark; 0 for none.
        shows: the behaviour.
        mark: what stands at the mark; how many are tuned, by default.
    """
    data: list[Figure] = []
    controls = (("random", "random heads", "dash", "square"), ("matched", "same layers", "dot", "diamond"))
    for name, label, dash, symbol in controls:
        if draws := curve[name]:
            columns = list(zip(*draws, strict=True))
            data += _band(name, [min(point) for point in columns], [max(point) for point in columns])
            data.append(_line(name, label, mean_curve(draws), dash, symbol))
    ranked = curve["ranked"]
    data += _band("ranked", [point["low"] for point in ranked], [point["high"] for point in ranked])
    data.append(_line("ranked", "located heads", [point["value"] for point in ranked], "solid", "circle"))
    last = len(ranked) - 1
    zero = {
        "type": "line",
        "x0": 0,
        "x1": last,
        "y0": 0,
        "y1": 0,
        "line": {"color": "var(--ink-soft)", "width": 1},
    }
    shapes, notes = [zero], []
    if 0 < chosen <= last:
        line = {"color": "var(--ink-soft)", "width": 1, "dash": "dot"}
        shapes.append({"type": "line", "x0": chosen, "x1": chosen, "yref": "paper", "y0": 0, "y1": 1, "line": line})
        side = "right" if chosen > last / 2 else "left"
        text = f" {mark or f'{chosen} tuned'} "
        notes.append({"x": chosen, "y": 1, "yref": "paper", "text": text, "showarrow": False, "xanchor": side})
    x = axis("heads knocked out", range=[-0.2, last + 0.2], dtick=max(1, last // 8))
    drawn = layout(420, x, axis(f"log-odds of {html.escape(shows)} (nats)"), shapes=shapes, annotations=notes)
    return {"data": data, "layout": drawn | {"hovermode": "x unified"}}


def _log_ticks(values: Sequence[float]) -> list[float]:
    """1, 2, 5 of every decade that the values touch; decades alone where there are many."""
    if not values:
        return []
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    return [step * 10.0**power for power in range(low, high + 1) for step in steps]


def training_path(histories: dict[str, list[dict[str, Any]]], rates: dict[str, str], target: float) -> Figure:
    """The first of `rates`, names with labels, against distance from the base at each check, one path a method."""
    styles = {"pinpoint": ("ranked", "solid", "circle"), "full": ("random", "dash", "square")}
    data, first = [], next(iter(rates))
    for method, history in histories.items():
        points = [check for check in history if check["metrics"].get("kl") and check["metrics"]["kl"] > 0]
        variable, dash, symbol = styles.get(method, ("matched", "dot", "diamond"))
        label = label_of(method)
        trace = _line(variable, label, [check["metrics"][first] for check in points], dash, symbol)
        trace["x"] = [check["metrics"]["kl"] for check in points]
        trace["text"] = [
            f"{label}, step {check['step']} ({duration(check['seconds'])})"
            + "".join(f"<br>{html.escape(words)} {checked(check, name, RATE)}" for name, words in rates.items())
            + f"<br>KL {checked(check, 'kl', IN_NATS)}"
            for check in points
        ]
        trace["hovertemplate"] = "%{text}<extra></extra>"
        data.append(trace)
    line = {"color": "var(--ink-soft)", "width": 1, "dash": "dot"}
    goal = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": target, "y1": target, "line": line}
    ticks = _log_ticks([value for trace in data for value in trace["x"]])
    x = axis("KL to the base (nats, logarithmic)", type="log", tickmode="array", tickvals=ticks)
    x["ticktext"] = [f"{tick:g}" for tick in ticks]
    y = axis(f"validation {html.escape(rates[first])}", tickformat=".0%", range=[-0.03, 1.03])
    return {"data": data, "layout": layout(380, x, y, shapes=[goal])}
