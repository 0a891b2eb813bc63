"""The locate stage of a run: scores of all heads, and what is asked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pinpoint.artifacts import provenance
from pinpoint.heads import Head, HeadScores
from pinpoint.locate import SetStep, greedy_set, locate
from pinpoint.pipeline._checks import behaviour_shown
from pinpoint.pipeline._stages import partial_of

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_UNITS = {"logit_diff": "logits", "log_odds": "nats", "paper_share": "%"}


class Comparison(NamedTuple):
    """The sweep beside brute force, on the same pairs."""

    same_ranking: bool
    difference: float
    seconds: float
    factor: float


def locate_run(run: Run) -> HeadScores:
    """Scores all heads; writes `locate/scores.safetensors` and `locate/locate.json`."""
    config, space = run.config.locate, run.workspace.sub("locate")
    if isinstance(run.config.tune.heads, tuple):
        run.view.check(map(Head.parse, run.config.tune.heads))
    pairs = run.inputs.halves.pairs
    if run.inputs.unusable:
        run.workspace.write_json("unusable.json", run.inputs.unusable)
    run.note(behaviour_shown(run.view, run.tokenizer, pairs))
    scores = locate(
        run.model,
        run.tokenizer,
        pairs,
        metric=config.metric,
        engine=config.engine,
        batch_size=config.batch_size,
        rows_per_chunk=config.rows_per_chunk,
        progress=run.progress,
        workspace=partial_of(run, "locate"),
    )
    space.write_tensors(
        "scores.safetensors",
        {"effects": scores.effects, "reference": scores.reference},
        {"metric": scores.metric, "engine": scores.engine},
    )
    space.write_json("locate.json", _record(run, scores))
    return scores


def _record(run: Run, scores: HeadScores) -> dict[str, Any]:
    pairs, ranking_half, effect_half = run.inputs.halves
    ranked, shown = scores.of(ranking_half), scores.of(effect_half)
    return {
        "metric": scores.metric,
        "unit": _UNITS[scores.metric],
        "engine": scores.engine,
        "seconds": scores.seconds,
        "pairs": len(pairs),
        "rank_pairs": len(ranking_half),
        "effect_pairs": len(effect_half),
        "effect_half": effect_half,
        "layers": run.view.n_layers,
        "heads": run.view.n_heads,
        "ranking": [str(head) for head in ranked.ranking()],
        "reference": float(shown.reference.mean()),
        "ranking_mean": ranked.mean.tolist(),
        "mean": shown.mean.tolist(),
        "standard_error": [
            [None if error != error else error for error in row] for row in shown.standard_error.tolist()
        ],
        "provenance": provenance(model=run.config.model, **run.chosen),
    }


def search_set(run: Run, count: int) -> list[SetStep]:
    """Searches for the set of heads with the strongest joint effect; writes `locate/set.json`."""
    config = run.config.locate
    run.progress.start(f"searching for a set of {count} heads", 0)
    steps = greedy_set(
        run.model,
        run.tokenizer,
        run.inputs.halves.pairs,
        count,
        metric=config.metric,
        engine=config.engine,
        batch_size=config.batch_size,
        rows_per_chunk=config.rows_per_chunk,
    )
    found = [step._asdict() | {"head": str(step.head), "heads": list(map(str, step.heads))} for step in steps]
    run.workspace.sub("locate").write_json("set.json", found)
    return steps


def beside_brute_force(run: Run, exact: HeadScores) -> Comparison:
    """Runs the sweep on the pairs that `exact` was computed on by brute force."""
    config = run.config.locate
    fast = locate(
        run.model,
        run.tokenizer,
        run.inputs.halves.pairs,
        metric=config.metric,
        batch_size=config.batch_size,
        rows_per_chunk=config.rows_per_chunk,
        progress=run.progress,
    )
    difference = (fast.effects - exact.effects).abs().max() / exact.effects.abs().max()
    return Comparison(fast.ranking() == exact.ranking(), float(difference), fast.seconds, exact.seconds / fast.seconds)
