"""The picture of bench/peers.py: how many times longer other libraries take, against what operations predict."""

from collections.abc import Iterable
from html import escape
from math import log10
from typing import Any, NamedTuple

from bench._front import STYLES, mark

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 560, 320, 52, 34, 76
AIM = 0.85
SAID = "How many times longer than pinpoint.locate other libraries take, against the ratio that operations predict"
DRAWN = [style for style in STYLES if style[1] != "ring"]  # of the circle's own colour


class _Axis(NamedTuple):
    """Ratios on a logarithmic axis, `length` long."""

    low: float
    high: float
    length: float

    @classmethod
    def of(cls, values: Iterable[float], length: float) -> "_Axis":
        some = list(values)
        return cls(log10(min(some)) - 0.08, log10(max(some)) + 0.08, length)

    def at(self, value: float) -> float:
        return self.length * (log10(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[int]:
        steps = (times * 10**decade for decade in range(6) for times in (1, 2, 3, 5))
        return [step for step in steps if self.low <= log10(step) <= self.high]


def _grid(across: _Axis, up: _Axis) -> list[str]:
    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#9ca3af"/>']
    for tick in across.ticks():
        x = LEFT + across.at(tick)
        parts.append(f'<path d="M{x:.1f} {TOP}v{HEIGHT}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{tick}</text>')
    for tick in up.ticks():
        y = TOP + HEIGHT - up.at(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick}</text>')
    middle = f'x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle"'
    return [*parts, f"<text {middle}>predicted ratio</text>", f'<text x="4" y="{TOP - 10}">measured ratio</text>']


def _share(across: _Axis, up: _Axis, share: float, drawn: str) -> str:
    """The line of ratios that are this share of the predicted ones."""
    low = max(across.low, up.low - log10(share))
    high = min(across.high, up.high - log10(share))
    ends = [(LEFT + across.at(10**one), TOP + HEIGHT - up.at(share * 10**one)) for one in (low, high)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in ends)
    return f'<path d="M{path}" fill="none" stroke="#374151" {drawn}/>'


def _peer(name: str, shapes: dict[str, dict[str, Any]], axes: tuple[_Axis, _Axis], style: tuple[str, str]) -> list[str]:
    across, up = axes
    points = []
    for label, shape in sorted(shapes.items(), key=lambda one: one[1]["predicted"]):
        if name in shape["peers"]:
            predicted, ratio = shape["predicted"], shape["peers"][name]["ratio"]
            told = escape(f"{name}, {label}: predicted {predicted:.0f}, measured {ratio:.0f}")
            points.append((LEFT + across.at(predicted), TOP + HEIGHT - up.at(ratio), told))
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
    parts = [f'<path d="M{path}" fill="none" stroke="{style[0]}" stroke-opacity="0.5"/>']
    return parts + [f"<g><title>{told}</title>{mark(x, y, *style)}</g>" for x, y, told in points]


def ratios(record: dict[str, Any]) -> str:
    """An SVG of measured against predicted ratios, a line and a mark for each library.

    Args:
        record: that of bench/peers.py.
    """
    shapes = record["shapes"]
    names = list(dict.fromkeys(name for shape in shapes.values() for name in shape["peers"]))
    across = _Axis.of((shape["predicted"] for shape in shapes.values()), WIDTH)
    up = _Axis.of((one["ratio"] for shape in shapes.values() for one in shape["peers"].values()), HEIGHT)
    width, height = LEFT + WIDTH + 20, TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{SAID}" '
        'font-family="sans-serif" font-size="12" fill="#111827">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_grid(across, up),
        _share(across, up, 1.0, ""),
        _share(across, up, AIM, 'stroke-dasharray="5 4"'),
    ]
    for number, (name, style) in enumerate(zip(names, DRAWN, strict=False)):
        parts += _peer(name, shapes, (across, up), style)
        x = 4 + number * width / len(names)
        parts += [mark(x + 6, height - 14, *style), f'<text x="{x + 16:.0f}" y="{height - 10}">{escape(name)}</text>']
    return "\n".join([*parts, "</svg>"]) + "\n"
