"""How many heads, how many questions, how many pairs: the same tuning at several sizes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinpoint.artifacts import provenance
from pinpoint.compare import Tried, better
from pinpoint.data import draw
from pinpoint.errors import ConfigError
from pinpoint.heads import HeadSet
from pinpoint.measure import agreement_by_pairs
from pinpoint.pipeline._locating import located_scores
from pinpoint.pipeline._stages import key_of
from pinpoint.pipeline._validation import validation_check
from pinpoint.tune import fit_heads

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

KINDS = ("heads", "data", "pairs")
_STABLE = 0.9
_FEWEST_PAIRS = 4


def sweep_run(run: Run, kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """Tunes at several sizes and measures each on the validation questions; writes `sweep/sweep.json`.

    A point that an earlier call made with the same settings is kept.

    Args:
        run: its locate stage must have run.
        kinds: "heads" (how many are tuned), "data" (how many questions they are tuned on, in the same number of
            steps), "pairs" (how many it takes for the ranking to be that of other pairs).

    Raises:
        ConfigError: a number of heads is more than there are, or a kind is unknown.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"sweep {unknown[0]!r} is unknown.", where="--over", mend=f"Use some of {', '.join(KINDS)}.")
    count, heads = None, {}
    if "heads" in kinds or "data" in kinds:
        heads = {"heads": _by_heads(run)}
        count = chosen_count(heads["heads"], run.config.tune.max_heads)
    found: dict[str, Any] = {
        "model": run.config.model,
        "targets": run.inputs.behaviour.targets(run.config.tune),
        "chosen": count,
        **heads,
    }
    if "data" in kinds and count is not None:
        found["data"] = [_point(run, count, share) for share in sorted(run.config.sweep.shares)]
    if "pairs" in kinds:
        found["pairs"] = _by_pairs(run, count or 1)
    found["provenance"] = provenance(seed=run.config.seed)
    run.workspace.sub("sweep").write_json("sweep.json", found)
    return found


def swept_count(run: Run, most: int) -> int:
    """The number of heads that does best on the validation questions, at most `most`."""
    return chosen_count(_by_heads(run), most)


def chosen_count(points: Sequence[dict[str, Any]], most: int) -> int:
    """By the rule of `compare`: of what reaches the targets, the least KL; else the higher of the lower rate.

    Fewer heads where two do equally well.
    """
    best: Tried | None = None
    for point in sorted(points, key=lambda point: int(point["heads"])):
        tried = Tried(point["heads"], point["metrics"], point["reached"])
        if point["heads"] <= most and (best is None or better(tried, best)):
            best = tried
    if best is None:
        raise ConfigError(
            f"no number of heads to try is at most {most}.",
            where="sweep.counts",
            mend="Add a smaller one, or raise tune.max_heads.",
        )
    return int(best.setting)


def _counts(run: Run, ranking: HeadSet) -> list[int]:
    given = run.config.sweep.counts
    if given and max(given) > len(ranking):
        raise ConfigError(
            f"{max(given)} heads are more than the {len(ranking)} there are.",
            where="sweep.counts",
            mend="Give smaller numbers.",
        )
    doubled = [2**i for i in range(len(ranking).bit_length()) if 2**i <= max(1, len(ranking) // 2)]
    return sorted(set(given)) or doubled


def _by_heads(run: Run) -> list[dict[str, Any]]:
    return [_point(run, count, 1.0) for count in _counts(run, run.ranking())]


def _point(run: Run, count: int, share: float) -> dict[str, Any]:
    """One tuning: `count` heads, on `share` of the training questions, in as many steps as on all."""
    space, key = run.workspace.sub("sweep"), key_of(run, "sweep")
    name = f"{count}-heads-{share:g}.json"
    if space.has(name) and (kept := space.read_json(name))["key"] == key:
        return dict(kept)
    point = _tuned(run, count, share) | {"key": key}
    space.write_json(name, point)
    return point


def _tuned(run: Run, count: int, share: float) -> dict[str, Any]:
    every, seed, behaviour = run.inputs.questions("train"), run.config.seed, run.inputs.behaviour
    some = draw(every, max(1, round(share * len(every))), seed)
    config = run.config.tune.model_copy(update={"epochs": run.config.tune.epochs * len(every) / len(some)})
    with tempfile.TemporaryDirectory() as folder:
        _, fitted = fit_heads(
            run.model,
            run.tokenizer,
            run.ranking()[:count],
            behaviour.rows(some, seed),
            config,
            validation_check(run, config),
            seed=seed,
            out=Path(folder),
            targets=behaviour.targets(config),
            neutral=behaviour.neutral(some) if config.anchor else (),
            progress=run.progress,
        )
    last = fitted.history[-1]
    return {
        "heads": count,
        "share": share,
        "questions": len(some),
        "trainable_parameters": fitted.trainable,
        "steps": last.step,
        "seconds": fitted.seconds,
        "metrics": last.metrics,
        "reached": fitted.reached,
    }


def _by_pairs(run: Run, count: int) -> dict[str, Any]:
    """How far the ranking by n pairs agrees with that of the other half of the pairs."""
    pairs, ranking_half, effect_half = run.inputs.halves
    scores = located_scores(run)
    most = len(ranking_half)
    sizes = [2**i for i in range(most.bit_length()) if _FEWEST_PAIRS <= 2**i < most] + [most]
    groups = [pairs[i].group for i in ranking_half]
    rows = agreement_by_pairs(
        scores.of(ranking_half), groups, scores.of(effect_half), count, sizes, seed=run.config.seed
    )
    enough = next((row["pairs"] for row in rows if row["overlap"]["value"] >= _STABLE), None)
    return {"heads": count, "stable": _STABLE, "enough": enough, "other_pairs": len(effect_half), "rows": rows}
