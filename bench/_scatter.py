"""The scatter of bench/gain.py: what tuning a set of heads gained against the effect of its heads, one panel each."""

from math import asinh
from typing import Any

WIDTH, HEIGHT, MARGIN, GAP = 188, 200, 46, 12
TICKS = (-0.1, 0.0, 0.1, 1.0, 10.0)
TOP, RANDOM = "#c2410c", "#1d4ed8"


def _across(effect: float) -> float:
    """Effects of a few nats and of hundredths on one axis: linear near 0, logarithmic away from it."""
    low, high = (asinh(20 * value) for value in (-0.5, 16.0))
    return WIDTH * (asinh(20 * effect) - low) / (high - low)


def _panel(organism: dict[str, Any], left: float, most: float) -> list[str]:
    plant = organism["plant"]

    def up(gain: float) -> float:
        return HEIGHT * (1 - (gain + 0.02) / (most + 0.04))

    parts = [f'<g transform="translate({left:.0f} 44)">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#9ca3af"/>')
    heads = f"{plant['count']} head{'s' if plant['count'] > 1 else ''}"
    parts.append(f'<text x="{WIDTH / 2}" y="-8" text-anchor="middle">{heads} planted {plant["place"]}</text>')
    for tick in TICKS:
        x = _across(tick)
        parts.append(f'<path d="M{x:.1f} {HEIGHT}v4" stroke="#6b7280"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{tick:g}</text>')
    for number, row in enumerate(organism["sets"]):
        x, y = _across(row["direct"]), up(row["gain"])
        if number % 2:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="none" stroke="{RANDOM}" stroke-width="1.6"/>')
        else:
            parts.append(f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{TOP}"/>')
    return [*parts, "</g>"]


def _axis(most: float) -> list[str]:
    parts, tick = [], 0.0
    while tick <= most:
        y = 44 + HEIGHT * (1 - (tick + 0.02) / (most + 0.04))
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * tick:.0f}</text>')
        tick += 0.1
    return parts


def scatter(organisms: list[dict[str, Any]]) -> str:
    """An SVG with a panel an organism; gain in points of truthfulness against the summed direct effect in nats."""
    most = max(row["gain"] for one in organisms for row in one["sets"])
    width, height = MARGIN + len(organisms) * (WIDTH + GAP), HEIGHT + 100
    said = "Gain in truthfulness from tuning a set of four heads, against the sum of their direct effects"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{said}" '
        'font-family="sans-serif" font-size="12" fill="#111827">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="8" y="14">gain, points</text>',
        *_axis(most),
    ]
    for number, one in enumerate(organisms):
        parts += _panel(one, MARGIN + number * (WIDTH + GAP), most)
    parts += [
        f'<text x="{width / 2:.0f}" y="{HEIGHT + 78}" text-anchor="middle">sum of the direct effects, nats</text>',
        f'<rect x="{MARGIN}" y="{HEIGHT + 84}" width="7" height="7" fill="{TOP}"/>',
        f'<text x="{MARGIN + 12}" y="{HEIGHT + 92}">drawn from the first quarter of the ranking</text>',
        f'<circle cx="{MARGIN + 290}" cy="{HEIGHT + 88}" r="4" fill="none" stroke="{RANDOM}" stroke-width="1.6"/>',
        f'<text x="{MARGIN + 300}" y="{HEIGHT + 92}">drawn from all heads</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
