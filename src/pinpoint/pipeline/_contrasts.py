"""Further contrasts: whether the heads that one contrast ranks first have their effects under others too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import behaviour_of
from pinpoint.data import ContrastPair
from pinpoint.heads import Head, HeadScores
from pinpoint.measure import METRICS, between
from pinpoint.pipeline._halves import halves
from pinpoint.pipeline._scoring import score
from pinpoint.pipeline._shown import encoded_for, predicted
from pinpoint.pipeline._stages import partial_of
from pinpoint.reliability import standard_error

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

FIRST = 10
KEPT = 1 / 3
"""Of its effect under the contrast that ranks the heads, what a head has left under another that it keeps."""
_LEAST = 0.1
_ERRORS = 2.0


class Contrasted(NamedTuple):
    """What one contrast does on some pairs.

    Attributes:
        scores: effects of all heads.
        moved: how far the metric on the counterfactual prompt is from that on the reference, by pair.
    """

    scores: HeadScores
    moved: Float[Tensor, " pair"]


def contrasts(run: Run, scores: HeadScores) -> dict[str, Any]:
    """Holds the first heads to the further contrasts of the settings, on the pairs that did not rank them.

    Args:
        run: whose pairs and settings.
        scores: what its own contrast gave.

    Returns:
        What `locate.json` has of it: the name of its own "contrast", and "contrasts" where there are further ones.
    """
    own, names = run.config.contrast, run.config.further_contrasts
    if not names:
        return {"contrast": own}
    pairs, ranking_half, effect_half = run.inputs.halves
    shown = scores.of(effect_half)
    main = Contrasted(shown, _moved(run, [pairs[i] for i in effect_half], shown))
    maps = {own: main}
    for name in names:
        held = _scored(run, name, partial_of(run, "locate"))
        maps[name] = Contrasted(held, _moved(run, _pairs(run, name), held))
    first = scores.of(ranking_half).top(FIRST)
    found = {name: _record(one, main, first) for name, one in maps.items()}
    return {"contrast": own, "contrasts": {"pairs": len(effect_half), "maps": found}}


def pairs_of(run: Run, name: str) -> list[ContrastPair]:
    """The run's own pairs with the counterfactuals of another contrast."""
    config = run.config
    other = behaviour_of(config.behaviour.model_copy(update={"contrast": name}))
    drawn = halves(other.pairs(run.inputs.questions("locate")), config.locate.pairs, config.seed).pairs
    own = run.inputs.halves.pairs
    return [replace(pair, counterfactual=one.counterfactual) for pair, one in zip(own, drawn, strict=True)]


def follow_contrast(run: Run, name: str) -> None:
    """Scores what falls to this process of what the first one scores."""
    _scored(run, name, None)


def _scored(run: Run, name: str, workspace: Workspace | None) -> HeadScores:
    run.share("contrast", name=name)
    return score(run, _pairs(run, name), workspace, processes=run.processes)


def _pairs(run: Run, name: str) -> list[ContrastPair]:
    every = pairs_of(run, name)
    return [every[i] for i in run.inputs.halves.effects]


def _moved(run: Run, pairs: Sequence[ContrastPair], scores: HeadScores) -> Float[Tensor, " pair"]:
    metric = METRICS[run.config.locate.metric]
    found = predicted(run.view, encoded_for(run.tokenizer, pairs, metric), "counterfactual", metric)
    return metric.effect(torch.tensor(found.values), scores.reference.float())


def _record(one: Contrasted, main: Contrasted, first: Sequence[Head]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "moved": float(one.moved.mean()),
        "standard_error": _error(one.moved, one.scores.groups),
        "moves": moves(one, main),
        "seconds": one.scores.seconds,
        "heads": [_head(head, one, main) for head in first],
    }
    if one is main:
        return found
    top = len(first)
    [couple] = between({"main": main.scores, "other": one.scores}, [top])["couples"]
    agreement = {"correlation": couple["correlation"], "ceiling": couple["ceiling"]}
    agreement |= {"top": top, "shared": round(top * couple["overlap"][str(top)])}
    errors = [[None if math.isnan(error) else error for error in row] for row in one.scores.standard_error.tolist()]
    agreement |= {"reliability": one.scores.reliability.to_json()}
    return found | agreement | {"effects": {"mean": one.scores.mean.tolist(), "standard_error": errors}}


def _head(head: Head, one: Contrasted, main: Contrasted) -> dict[str, Any]:
    effects, moved = one.scores.effects[:, head.layer, head.head], float(one.moved.mean())
    return {
        "head": str(head),
        "effect": float(effects.mean()),
        "standard_error": _error(effects, one.scores.groups),
        "share": float(effects.mean()) / moved if moved else None,
        "verdict": None if one is main else verdict(head, one, main),
    }


def moves(one: Contrasted, main: Contrasted) -> str:
    """How far a contrast moves the metric beside the main one.

    Returns:
        "little" for less than a tenth of it, or no more than two standard errors, which tells nothing of heads; else
        "enough", or "back" where it is the other way.
    """
    moved, whole, error = float(one.moved.mean()), float(main.moved.mean()), _error(one.moved, one.scores.groups)
    if error is None or abs(moved) <= max(_ERRORS * error, _LEAST * abs(whole)):
        return "little"
    return "enough" if moved * whole > 0 else "back"


def verdict(head: Head, one: Contrasted, main: Contrasted) -> str | None:
    """Whether a head "keeps" a third of its effect under the main contrast, or "loses" it.

    Of its effect, not of its share: where the whole model reads the words that both turns have, both are small.

    Returns:
        "unclear" where what is over or under a third lies within two standard errors of 0; None where the contrast
        tells nothing, or the head's effect under the main one is itself within two standard errors of 0.
    """
    ours, theirs = (some.scores.effects[:, head.layer, head.head] for some in (main, one))
    if moves(one, main) == "little" or not _beyond(ours, main.scores.groups):
        return None
    excess = (theirs - KEPT * ours) * ours.mean().sign()
    if not _beyond(excess, one.scores.groups):
        return "unclear"
    return "keeps" if excess.mean() > 0 else "loses"


def _beyond(values: Float[Tensor, " pair"], groups: Sequence[str]) -> bool:
    error = _error(values, groups)
    return error is not None and abs(float(values.mean())) > _ERRORS * error


def _error(values: Float[Tensor, " pair"], groups: Sequence[str]) -> float | None:
    error = float(standard_error(values, groups))
    return None if math.isnan(error) else error
