"""The locate stage of a run: scores of all heads, and what is asked of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pinpoint.artifacts import Workspace, provenance
from pinpoint.data import ContrastPair, closes_thoughts
from pinpoint.heads import Head, HeadScores
from pinpoint.locate import agreement, locate_paths
from pinpoint.measure import METRICS, Openings
from pinpoint.nodes import NodeScores
from pinpoint.pipeline._answers import find_answers
from pinpoint.pipeline._attention import look
from pinpoint.pipeline._checks import contrast_bites, ranking_stable
from pinpoint.pipeline._contrasts import contrasts
from pinpoint.pipeline._partial import begun, ended
from pinpoint.pipeline._scoring import score, score_nodes
from pinpoint.pipeline._shown import behaviour_shown
from pinpoint.pipeline._stability import by_count, overlap
from pinpoint.pipeline._stages import key_of, partial_of
from pinpoint.pipeline._thought_checks import reply_measured
from pinpoint.reliability import Rounding, Routing, standard_error

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

# How many heads come first, where the settings give no number: about the share that Chen et al. tune.
_ONE_IN = 20
_NODES = ("nodes.json", "nodes.safetensors")
_UNITS = {name: metric.unit for name, metric in METRICS.items()} | {"accuracy": "share of prompts", "random": ""}


class Comparison(NamedTuple):
    """The fast engine beside brute force, on the same pairs."""

    engine: str
    same_ranking: bool
    difference: float
    seconds: float
    factor: float


def locate_run(run: Run) -> HeadScores:
    """Scores all heads; writes `locate/scores.safetensors` and `locate/locate.json`, and `nodes.*` where asked."""
    from pinpoint.report import contrast_lines

    space = run.workspace.sub("locate")
    if isinstance(run.config.tune.heads, tuple):
        run.view.heads_of(run.config.tune.heads)
    run.inputs.list_unusable(run.workspace)
    _note_thinking(run)
    find_answers(run)
    pairs = run.inputs.halves.pairs
    shown = {"opposed": run.config.contrast in ("", "affirmed"), "named": not run.inputs.answers_found}
    run.note(behaviour_shown(run.view, run.tokenizer, pairs, run.config.locate.metric, **shown))
    scores, nodes = _scored(run, pairs, partial_of(run, "locate"))
    run.note(contrast_bites(scores))
    for name in (*_NODES, "set.json", "joint.json", "paths.json", "stability.json"):
        space.drop(name)
    if nodes is not None:
        space.write_tensors(_NODES[1], {"effects": nodes.effects}, {"nodes": " ".join(map(str, nodes.nodes))})
        space.write_json(_NODES[0], _nodes_record(run, nodes))
    _keep(space, scores)
    look(run)
    record = _record(run, scores) | _held_to_exact(run, scores) | contrasts(run, scores)
    for text in contrast_lines(record):
        run.progress.say(text)
    space.write_json("locate.json", record)
    check_stability(run, scores)
    return scores


def _note_thinking(run: Run) -> None:
    first = run.inputs.halves.pairs[0].reference
    if isinstance(first, str) or not isinstance(first[0], dict):
        return
    closes = closes_thoughts(run.tokenizer, first)  # type: ignore[arg-type]
    if closes is not None:
        run.note(reply_measured(closes))


def _keep(space: Workspace, scores: HeadScores) -> None:
    tensors = {"effects": scores.effects, "reference": scores.reference}
    names = {name: getattr(scores, name) for name in ("metric", "engine", "method", "positions")}
    names["groups"] = json.dumps(scores.groups)
    if (rounding := scores.rounding) is not None:
        tensors["rounding"] = rounding.errors
        names |= {"noise_pairs": str(rounding.pairs), "dtype": rounding.dtype, "against": rounding.against}
    if scores.routing is not None:
        names["routing"] = json.dumps(scores.routing)
    space.write_tensors("scores.safetensors", tensors, names)


def _scored(
    run: Run, pairs: Sequence[ContrastPair], workspace: Workspace | None, engine: str | None = None
) -> tuple[HeadScores, NodeScores | None]:
    """Scores of the heads, and of the other nodes if the settings ask for some."""
    config, found = run.config.locate, run.inputs.openings
    run.share("locate", engine=engine, found=found and found.model_dump())
    more: dict[str, Any] = {
        "engine": engine or config.engine,
        "noise_pairs": config.noise_pairs,
        "processes": run.processes,
    }
    if set(config.nodes) != {"heads"}:
        nodes = score_nodes(run, pairs, workspace, **more)
        return nodes.heads(), nodes.without("heads")
    return score(run, pairs, workspace, **more), None


def follow_locate(run: Run, engine: str | None, found: dict[str, Any] | None) -> None:
    """Scores what falls to this process of what the first one scores, by the answers that it found."""
    run.inputs.openings = None if found is None else Openings.model_validate(found)
    _scored(run, run.inputs.halves.pairs, None, engine)


def located_scores(run: Run) -> HeadScores:
    """The scores that the locate stage left."""
    space = run.workspace.sub("locate")
    tensors, named = space.read_tensors("scores.safetensors")
    errors = tensors.get("rounding")
    return HeadScores(
        tensors["effects"],
        tensors["reference"],
        named["metric"],
        named["engine"],
        layers=tuple(run.view.attention_layers),
        method=named["method"],
        positions=named["positions"],
        seconds=space.read_json("locate.json")["seconds"],
        groups=tuple(json.loads(named["groups"])) if "groups" in named else (),
        rounding=None
        if errors is None
        else Rounding(errors, int(named["noise_pairs"]), named["dtype"], named["against"]),
        routing=Routing(*json.loads(named["routing"])) if "routing" in named else None,
    )


def check_stability(run: Run, scores: HeadScores, count: int | None = None) -> None:
    """Notes whether the first heads of the ranking would be chosen again on other pairs.

    Args:
        run: the run.
        scores: of all heads.
        count: how many are to be tuned; None where that is not known yet.
    """
    tuned = run.config.tune
    if scores.method == "random" or isinstance(tuned.heads, tuple):
        return
    every = len(scores.ranking())
    guess = tuned.heads if isinstance(tuned.heads, int) else min(tuned.max_heads, max(1, every // _ONE_IN))
    count = min(count or guess, every)
    pairs, ranking_half, _ = run.inputs.halves
    stays = overlap(run, scores, count)
    found = scores.of(ranking_half).reliability
    run.note(ranking_stable(stays, count, found, len(pairs), run.config.locate.pairs))


def _held_to_exact(run: Run, scores: HeadScores) -> dict[str, Any]:
    """Attribution patching beside what it estimates, on the first pairs: its agreement is measured, not assumed."""
    config = run.config.locate
    if config.method != "attribution" or not config.exact_pairs:
        return {}
    some = run.inputs.halves.pairs[: config.exact_pairs]
    exact = score(run, some, partial_of(run, "locate"), method="activation")
    return {"against_exact": agreement(scores.of(slice(config.exact_pairs)), exact).to_json()}


def _nodes_record(run: Run, nodes: NodeScores) -> dict[str, Any]:
    _, ranking_half, effect_half = run.inputs.halves
    ranked, shown = nodes.of(ranking_half), nodes.of(effect_half)
    place = {node: i for i, node in enumerate(nodes.nodes)}
    rows = [
        {
            "node": str(node),
            "kind": node.kind,
            "effect": float(shown.mean[place[node]]),
            "standard_error": _number(float(shown.standard_error[place[node]])),
            "ranking_effect": float(ranked.mean[place[node]]),
        }
        for node in ranked.ranking()
    ]
    kinds = dict.fromkeys(node.kind for node in nodes.nodes)
    return {
        "metric": nodes.metric,
        "unit": _UNITS[nodes.metric],
        "label": nodes.label,
        "nodes": rows,
        "reliability": {kind: shown.reliability(kind).to_json() for kind in kinds},
        "noise_floor": {kind: nodes.noise_floor(kind) for kind in kinds},
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _record(run: Run, scores: HeadScores) -> dict[str, Any]:
    pairs, ranking_half, effect_half = run.inputs.halves
    ranked, shown = scores.of(ranking_half), scores.of(effect_half)
    return {
        "method": scores.method,
        "positions": scores.positions,
        "label": scores.label,
        "metric": scores.metric,
        "unit": _UNITS[scores.metric],
        "engine": scores.engine,
        "thinking": run.config.thinking,
        "seconds": scores.seconds,
        "pairs": len(pairs),
        "rank_pairs": len(ranking_half),
        "effect_pairs": len(effect_half),
        "effect_half": effect_half,
        "layers": run.view.n_layers,
        "heads": run.view.n_heads,
        "ranking": [str(head) for head in ranked.ranking()],
        "reference": float(shown.reference.mean()),
        "reference_standard_error": _number(float(standard_error(shown.reference, shown.groups))),
        "ranking_mean": ranked.mean.tolist(),
        "mean": shown.mean.tolist(),
        "standard_error": [[_number(error) for error in row] for row in shown.standard_error.tolist()],
        "stability": by_count(run, scores),
        "reliability": shown.reliability.to_json(),
        "ranking_reliability": ranked.reliability.to_json(),
        "noise": None if scores.rounding is None else scores.rounding.to_json(),
        **({} if scores.routing is None else {"routing": scores.routing._asdict()}),
        **({} if run.inputs.openings is None else {"answers": run.inputs.openings.model_dump()}),
        "provenance": provenance(model=run.config.model, **run.chosen),
    }


def locate_receivers(run: Run, receivers: Sequence[Head], through: Literal["q", "k", "v"]) -> HeadScores:
    """Scores senders by their paths through given heads, on all pairs; writes `locate/paths.json`."""
    config = run.config.locate
    key = _paths_key(run, receivers, through)
    scores = locate_paths(
        run.model,
        run.tokenizer,
        run.inputs.halves.pairs,
        receivers,
        through=through,
        metric=config.metric,
        engine=config.engine,
        batch_size=config.batch_size,
        noise_pairs=config.noise_pairs,
        progress=run.progress,
        workspace=begun(run, "paths", key),
    )
    mean, error = scores.mean, scores.standard_error
    found = {
        "receivers": list(map(str, scores.receivers)),
        "through": through,
        "positions": scores.positions,
        "label": scores.label,
        "metric": scores.metric,
        "unit": _UNITS[scores.metric],
        "pairs": len(scores.effects),
        "reliability": scores.reliability.to_json(),
        "noise": None if scores.rounding is None else scores.rounding.to_json(),
        "senders": [
            {
                "head": str(head),
                "effect": float(mean[head]),
                "standard_error": _number(float(error[head])),
            }
            for head in scores.ranking()
        ],
    }
    run.workspace.sub("locate").write_json("paths.json", found)
    ended(run, "paths", key)
    return scores


def _paths_key(run: Run, receivers: Sequence[Head], through: str) -> str:
    asked = json.dumps([key_of(run, "locate"), *sorted(map(str, receivers)), through])
    return hashlib.sha256(asked.encode()).hexdigest()


def beside_brute_force(run: Run, exact: HeadScores) -> Comparison:
    """Runs the fast engine on the pairs that `exact` was computed on by brute force."""
    fast, _ = _scored(run, run.inputs.halves.pairs, None, "sweep")
    difference = (fast.effects - exact.effects).abs().max() / exact.effects.abs().max()
    same = fast.ranking() == exact.ranking()
    return Comparison(fast.engine, same, float(difference), fast.seconds, exact.seconds / fast.seconds)
