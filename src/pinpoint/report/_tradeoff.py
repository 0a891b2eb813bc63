"""Behaviour against side effects, one point a method: to be high costs nothing only near the left edge."""

import html
from typing import Any

from pinpoint.behaviours import Behaviour
from pinpoint.report._figures import Figure, axis, layout
from pinpoint.report._format import GAP, IN_NATS, RATE, Unit, all_of, quantity
from pinpoint.report._rows import ability_label, label_of

STYLES = {"base": ("ink-soft", "x"), "pinpoint": ("ranked", "circle"), "full": ("random", "square")}
_POINTS = Unit(GAP.factor, GAP.spec, " points")
_NOTHING = {"value": 0.0, "low": 0.0, "high": 0.0, "n": 0}


def _error(estimate: dict[str, Any], sign: int = 1) -> Figure:
    if estimate["low"] is None or estimate["high"] is None:
        return {"visible": False}
    low, high = estimate["value"] - estimate["low"], estimate["high"] - estimate["value"]
    up, down = (high, low) if sign > 0 else (low, high)
    return {"type": "data", "array": [up], "arrayminus": [down], "thickness": 1.2, "width": 4}


def _worst(found: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The ability that loses most against the base, and its difference."""
    abilities = (found.get("versus_base") or {}).get("abilities", {})
    known = [(name, one) for name, one in abilities.items() if one["value"] is not None]
    return min(known, key=lambda pair: pair[1]["value"]) if known else None


def _drawn(points: list[tuple[str, dict[str, Any], dict[str, Any], str]], x: Figure, y: Figure, sign: int) -> Figure:
    data = []
    for method, cost, good, said in points:
        variable, symbol = STYLES.get(method, ("matched", "diamond"))
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": html.escape(label_of(method)),
                "x": [sign * cost["value"]],
                "y": [good["value"]],
                "cliponaxis": False,
                "error_x": _error(cost, sign) | {"color": f"var(--{variable})"},
                "error_y": _error(good) | {"color": f"var(--{variable})"},
                "marker": {"symbol": symbol, "size": 11, "color": f"var(--{variable})"},
                "text": [said],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    furthest = max((edge for _, cost, _, _ in points for edge in _edges(cost, sign)), default=0.0)
    nearest = min((edge for _, cost, _, _ in points for edge in _edges(cost, sign)), default=0.0)
    room = 0.06 * (furthest - nearest) or 0.01
    return {"data": data, "layout": layout(340, x | {"range": [nearest - room, furthest + room]}, y)}


def _edges(cost: dict[str, Any], sign: int) -> list[float]:
    return [sign * cost[key] for key in ("value", "low", "high") if cost[key] is not None]


def tradeoffs(summary: dict[str, Any], behaviour: Behaviour) -> dict[str, Figure]:
    """The behaviour's measure against KL to the base, and against the loss of the ability that loses most.

    Returns:
        Figures by name; one without anything to show is left out.
    """
    name = behaviour.matched[0]
    label = next((one.label for one in behaviour.measures if one.name == name), name)
    by_kl, by_ability = [], []
    for method, found in summary["methods"].items():
        good = found.get(name)
        if good is None or good["value"] is None:
            continue
        head = f"<b>{html.escape(label_of(method))}</b><br>{html.escape(label)}: {all_of(good, RATE)}<br>"
        kl = _NOTHING if method == "base" else found.get("kl")
        if kl and kl["value"] is not None:
            far = quantity(0, IN_NATS) if method == "base" else all_of(kl, IN_NATS)
            by_kl.append((method, kl, good, f"{head}KL: {far}"))
        worst = ("", _NOTHING) if method == "base" else _worst(found)
        if worst:
            lost = f"{html.escape(ability_label(worst[0]))}: {all_of(worst[1], _POINTS)}" if worst[0] else "as it was"
            by_ability.append((method, worst[1], good, head + lost))
    y = axis(html.escape(label), tickformat=".0%", range=[-0.05, 1.05])
    figures = {}
    if len(by_kl) > 1:
        x = axis("KL to the base (nats)")
        figures["tradeoff-kl"] = _drawn(by_kl, x, y, 1)
    if len(by_ability) > 1:
        x = axis("largest loss of an ability", tickformat=".1%")
        figures["tradeoff-ability"] = _drawn(by_ability, x, y, -1)
    return figures
