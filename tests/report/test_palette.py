"""The colours of the page, of the plots and of the chat, by day and by night: they can be read, and told apart.

Contrast is that of WCAG 2.2 (success criteria 1.4.3 and 1.4.11): 4.5 for text, 3 for the marks of a figure. Colour
blindness is simulated by the matrices of G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, *A Physiologically-based
Model for Simulation of Color Vision Deficiency*, IEEE TVCG 15(6), 2009, for the whole loss of one kind of cone;
distances are those of CIELAB (CIE 1976), of which some 2.3 can just be seen.
"""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import pinpoint
from pinpoint.heads import HeadScores

SOURCE = Path(pinpoint.__file__).parent
BLIND = {
    "nobody": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
Colour = NDArray[np.float64]


def colour(text: str) -> Colour:
    """Red, green and blue of `#rrggbb` or `rgb(r, g, b)`, from 0 to 1."""
    numbers = re.findall(r"\d+", text) if text.startswith("rgb") else [int(text[i : i + 2], 16) for i in (1, 3, 5)]
    return np.array([int(one) / 255 for one in numbers])


def linear(one: Colour) -> Colour:
    return np.where(one <= 0.04045, one / 12.92, ((one + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    light, dark = sorted((float(TO_XYZ[1] @ linear(each)) for each in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lab(one: Colour, blind: str) -> Colour:
    seen = np.clip(BLIND[blind] @ linear(one), 0, 1)
    ratio = (TO_XYZ @ seen) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: Colour, other: Colour, blind: str) -> float:
    return float(np.linalg.norm(lab(one, blind) - lab(other, blind)))


def variables(path: Path) -> dict[str, dict[str, Colour]]:
    """The colours that a style sheet names, by theme; what the night leaves as it is, it has from the day."""
    day, night = (
        {name: colour(value) for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)}
        for part in re.split(r"dark\)|\.dark ", path.read_text(encoding="utf-8"), maxsplit=1)
    )
    return {"day": day, "night": day | night}


PAGE, CHAT = variables(SOURCE / "report" / "page.css"), variables(SOURCE / "cli" / "chat.css")
# Of gradio's theme `Base`, which the chat is drawn on.
GROUNDS = {"day": ("#ffffff", "#fafafa"), "night": ("#0f0f11", "#18181b")}
TEXT = {
    "paper": ("ink", "ink-soft", "accent", "good", "bad"),
    "shade": ("ink", "ink-soft", "accent"),
    "user": ("ink",),
    "model": ("ink",),
}
MARKS = ("ranked", "random", "matched", "ink-soft")
MAP = [f"map-{stop}" for stop in range(9)]


@pytest.mark.parametrize("theme", ["day", "night"])
def test_text_of_the_page_can_be_read(theme: str) -> None:
    colours = PAGE[theme]
    for ground, inks in TEXT.items():
        for ink in inks:
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["paper"], colours["ink"]) >= 4.5, "a button that is pressed"
    # A token that a head looks at as much as at any: look-ink at 70 %, as page.css mixes it.
    looked_at = 0.7 * colours["look-ink"] + 0.3 * colours["paper"]
    assert contrast(colours["ink"], looked_at) >= 4.5


@pytest.mark.parametrize("theme", ["day", "night"])
def test_text_of_the_chat_can_be_read(theme: str) -> None:
    for ground in map(colour, GROUNDS[theme]):
        for ink in ("pp-caves", "pp-stands", "body-text-color-subdued", "input-placeholder-color"):
            assert contrast(CHAT[theme][ink], ground) >= 4.5, ink


@pytest.mark.parametrize("theme", ["day", "night"])
def test_marks_of_figures_stand_out_from_the_paper(theme: str) -> None:
    colours = PAGE[theme]
    for mark in (*MARKS, MAP[0], MAP[-1]):
        assert contrast(colours[mark], colours["paper"]) >= 3, mark


@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("blind", BLIND)
def test_colours_that_mean_different_things_are_told_apart(theme: str, blind: str) -> None:
    colours = PAGE[theme]
    for one, other in combinations(MARKS, 2):  # which have symbols or dashes of their own besides
        assert distance(colours[one], colours[other], blind) >= 15, (one, other)
    for one, other in (("good", "bad"), (MAP[0], MAP[-1])):
        assert distance(colours[one], colours[other], blind) >= 20, (one, other)
    assert distance(CHAT[theme]["pp-caves"], CHAT[theme]["pp-stands"], blind) >= 20
    for lower, upper in ((MAP[0], MAP[2]), (MAP[2], MAP[4]), (MAP[4], MAP[6]), (MAP[6], MAP[8])):
        assert distance(colours[lower], colours[upper], blind) >= 10, (lower, upper)
    lightness = [lab(colours[stop], blind)[0] for stop in MAP]
    outwards = np.diff(lightness) * ([1] * 4 + [-1] * 4) * (1 if theme == "day" else -1)
    assert (outwards > 0).all(), "the further from zero, the further from the ground, on either side"


@pytest.mark.parametrize("blind", BLIND)
def test_the_ends_of_the_plot_in_python_are_told_apart(blind: str) -> None:
    effects = torch.tensor([[[-1.0, 1.0]], [[-1.0, 1.0]]])
    [figure] = HeadScores(effects, torch.zeros(2), "logit_diff", "sweep").plot().data
    scale = [colour(text) for _, text in figure.colorscale]
    assert distance(scale[0], scale[-1], blind) >= 20
    assert min(distance(end, scale[len(scale) // 2], blind) for end in (scale[0], scale[-1])) >= 40
