"""Marks for locators: what they say of every head of an organism, against the heads that matter."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from scipy.stats import mannwhitneyu, rankdata
from torch import Tensor

from pinpoint.measure import estimate

COMBINED = "path and activation, suffix"
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
HEADS = [f"L{layer}.H{head}" for layer in range(8) for head in range(8)]
Organism = dict[str, Any]


def judged(scores: Sequence[float], answers: Sequence[bool]) -> dict[str, float]:
    """Area under the ROC curve, average precision, and precision at the number of answers."""
    right = [score for score, answer in zip(scores, answers, strict=True) if answer]
    wrong = [score for score, answer in zip(scores, answers, strict=True) if not answer]
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    hits = torch.tensor([float(answers[i]) for i in order])
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return {
        "auroc": float(mannwhitneyu(right, wrong).statistic) / (len(right) * len(wrong)),
        "average_precision": float(precision[hits.bool()].mean()),
        "precision_at_k": float(precision[len(right) - 1]),
    }


def matters(organism: Organism) -> list[str]:
    """The heads that matter, as the record has them."""
    found: list[str] = organism["matters"]
    return found


def combined(organism: Organism, weight: float) -> list[float]:
    """Mean of two rankings: `weight` on the direct effect, the rest on the total effect."""
    direct, total = (rankdata(organism["found"][name]["scores"]) for name in ("path", "activation, suffix"))
    mixed: Tensor = torch.tensor(weight * direct + (1 - weight) * total)
    return mixed.tolist()


def chosen_weight(organisms: Sequence[Organism]) -> float:
    """The weight of the direct effect at which the mean of rankings has the best average precision."""

    def quality(weight: float) -> float:
        marks = (judged(combined(one, weight), [head in one["matters"] for head in HEADS]) for one in organisms)
        return sum(mark["average_precision"] for mark in marks)

    return max(WEIGHTS, key=quality)


def table(
    organisms: Sequence[Organism],
    locators: Iterable[str],
    weight: float,
    answers: Callable[[Organism], Iterable[str]] = matters,
) -> dict[str, dict[str, Any]]:
    """Mean over organisms of each measure, with its interval and the values behind it, per locator.

    Args:
        organisms: recorded ones, in each of which some heads matter.
        locators: names of locators; `COMBINED` is made from two of them.
        weight: of the direct effect in `COMBINED`.
        answers: which heads matter.
    """
    right = [set(answers(one)) for one in organisms]
    groups = [str(one["plant"]["seed"]) for one in organisms]
    found = {}
    for name in locators:
        rows = [
            judged(
                combined(one, weight) if name == COMBINED else one["found"][name]["scores"],
                [head in heads for head in HEADS],
            )
            for one, heads in zip(organisms, right, strict=True)
        ]
        found[name] = {
            measure: estimate([row[measure] for row in rows], groups, resamples=2000, seed=0).to_json()
            | {"values": [row[measure] for row in rows]}
            for measure in rows[0]
        }
    return found
