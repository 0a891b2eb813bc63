"""Behaviour against side effects as an SVG: one point a method or setting, bars for both 95 % intervals."""

from html import escape
from math import ceil, floor, log10
from typing import Any, NamedTuple

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 280, 52, 34, 52
STYLES = (
    ("#c2410c", "circle"),
    ("#c2410c", "ring"),
    ("#1d4ed8", "square"),
    ("#047857", "diamond"),
    ("#6b7280", "cross"),
)


class Point(NamedTuple):
    """A method or setting: its estimates across and up, as JSON objects, its name, and what it is drawn like."""

    across: dict[str, Any]
    up: dict[str, Any]
    name: str
    group: str
    written: bool = False


class Panel(NamedTuple):
    """One plot: what is across (KL in nats on a logarithmic axis, or a rate), what is up, and the points."""

    across: str
    up: str
    logarithmic: bool
    points: list[Point]


def mark(x: float, y: float, color: str, shape: str) -> str:
    """A point's mark, of a colour and a shape of `STYLES`."""
    at = f"{x:.1f} {y:.1f}"
    return {
        "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{color}"/>',
        "ring": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#ffffff" stroke="{color}" stroke-width="1.6"/>',
        "square": f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{color}"/>',
        "diamond": f'<path d="M{at}m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z" fill="{color}"/>',
        "cross": f'<path d="M{at}m-4 -4l8 8m0 -8l-8 8" stroke="{color}" stroke-width="2"/>',
    }[shape]


class _Axes:
    """Where values lie within a panel."""

    def __init__(self, panel: Panel) -> None:
        self._log = panel.logarithmic
        ends = [one.across[end] for one in panel.points for end in ("low", "high")]
        self._from, self._to = (log10(min(ends)) - 0.05, log10(max(ends)) + 0.05) if self._log else (-0.03, 1.03)
        self._least = floor(10 * min(one.up["low"] for one in panel.points)) / 10 - 0.03

    def x(self, value: float) -> float:
        return LEFT + WIDTH * ((log10(value) if self._log else value) - self._from) / (self._to - self._from)

    def y(self, value: float) -> float:
        return TOP + HEIGHT * (1.03 - value) / (1.03 - self._least)

    def across(self) -> list[tuple[float, str]]:
        if not self._log:
            return [(share / 5, f"{20 * share} %") for share in range(6)]
        decades = range(floor(self._from), ceil(self._to) + 1)
        steps = [times * 10**decade for decade in decades for times in (1, 2, 5)]
        return [(step, f"{step:g}") for step in steps if self._from <= log10(step) <= self._to]

    def up(self) -> list[tuple[float, str]]:
        shares = range(ceil(10 * self._least), 11)
        every = 2 if len(shares) > 6 else 1
        return [(share / 10, f"{10 * share} %") for share in shares if (10 - share) % every == 0]


def _drawn(panel: Panel, styles: dict[str, tuple[str, str]]) -> list[str]:
    axes = _Axes(panel)
    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#9ca3af"/>']
    for value, text in axes.across():
        x = axes.x(value)
        parts.append(f'<path d="M{x:.1f} {TOP}v{HEIGHT}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{text}</text>')
    for value, text in axes.up():
        y = axes.y(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for one in panel.points:
        color, shape = styles[one.group]
        x, y = axes.x(one.across["value"]), axes.y(one.up["value"])
        low, high = (axes.x(one.across[end]) for end in ("low", "high"))
        bottom, top = (axes.y(one.up[end]) for end in ("low", "high"))
        bars = f"M{low:.1f} {y:.1f}H{high:.1f}M{x:.1f} {bottom:.1f}V{top:.1f}"
        parts.append(f'<g><title>{escape(one.name)}</title><path d="{bars}" stroke="{color}" stroke-opacity="0.5"/>')
        parts.append(mark(x, y, color, shape))
        if one.written:
            parts.append(f'<text x="{x + 7:.1f}" y="{y - 7:.1f}">{escape(one.name)}</text>')
        parts.append("</g>")
    middle = LEFT + WIDTH / 2
    parts.append(f'<text x="{middle}" y="{TOP + HEIGHT + 36}" text-anchor="middle">{escape(panel.across)}</text>')
    return [*parts, f'<text x="4" y="{TOP - 10}">{escape(panel.up)}</text>']


def front(panels: list[Panel], said: str) -> str:
    """The panels below one another, with a legend where there are several groups.

    Args:
        panels: what to draw; every estimate has an interval.
        said: what the picture shows, for who does not see it.
    """
    groups = list(dict.fromkeys(one.group for panel in panels for one in panel.points))
    styles = dict(zip(groups, STYLES, strict=False))
    tall = TOP + HEIGHT + BOTTOM
    width, height = LEFT + WIDTH + 20, len(panels) * tall + (24 if len(groups) > 1 else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(said)}" font-family="sans-serif" font-size="12" fill="#111827">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate(0 {number * tall})">', *_drawn(panel, styles), "</g>"]
    for number, group in enumerate(groups if len(groups) > 1 else []):
        x = LEFT + number * WIDTH / len(groups)
        parts += [mark(x, height - 14, *styles[group]), f'<text x="{x + 10:.0f}" y="{height - 10}">{group}</text>']
    return "\n".join([*parts, "</svg>"]) + "\n"
