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
from pinpoint.measure import agreement_by_pairs
from pinpoint.pipeline._environment import note_environment
from pinpoint.pipeline._explaining import explained
from pinpoint.pipeline._locating import located_scores
from pinpoint.pipeline._stages import key_of
from pinpoint.pipeline._tunable import check_tunable
from pinpoint.pipeline._validation import validation_check
from pinpoint.pipeline._wrong_answers import trained
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
        kinds: "heads" (how many are tuned), "data" (how many questions they are tuned on, for as many
            dialogues in all), "pairs" (how many it takes for the ranking to be that of other pairs).

    Raises:
        ConfigError: a number of heads is more than there are, a kind is unknown, or the model cannot be tuned.
    """
    check_kinds(kinds)
    note_environment(run)
    count, heads, kept = None, {}, _kept(run)
    if "heads" in kinds or "data" in kinds:
        heads = {"heads": [_point(run, number, 1.0) for number in counts_of(run)]}
        count = chosen_count(heads["heads"], run.config.tune.max_heads)
        kept = kept if kept.get("chosen") == count else {}  # what follows is of another number
    pairs = {"pairs": _by_pairs(run, count or _known_count(run))} if "pairs" in kinds else {}
    found: dict[str, Any] = {
        "key": key_of(run, "sweep"),
        "model": run.config.model,
        "targets": run.inputs.behaviour.targets(run.config.tune),
        "chosen": count or kept.get("chosen"),
        **{kind: kept[kind] for kind in KINDS if kind in kept},
        **heads,
    }
    if "data" in kinds and count is not None:
        found["data"] = [_point(run, count, share) for share in sorted(run.config.sweep.shares)]
    found |= pairs
    found["provenance"] = provenance(seed=run.config.seed)
    run.workspace.sub("sweep").write_json("sweep.json", found)
    return found


def _kept(run: Run) -> dict[str, Any]:
    """What earlier calls found with the same settings, over other kinds too."""
    space = run.workspace.sub("sweep")
    found: dict[str, Any] = space.read_json("sweep.json") if space.has("sweep.json") else {}
    return found if found.get("key") == key_of(run, "sweep") else {}


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuses kinds of sweeps that there are none of.

    Raises:
        ConfigError: names the first.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"sweep {unknown[0]!r} is unknown.", where="--over", mend=f"Use some of {', '.join(KINDS)}.")


def swept_count(run: Run, most: int) -> int:
    """The number of heads that does best on the validation questions, at most `most`."""
    counts = [number for number in counts_of(run) if number <= most]
    return chosen_count([_point(run, number, 1.0) for number in counts], most)


def _known_count(run: Run) -> int:
    """How many heads are tuned, where that is known without tuning.

    Raises:
        ConfigError: it is not.
    """
    heads = run.config.tune.heads
    if isinstance(heads, int):
        return heads
    if isinstance(heads, tuple):
        return len(heads)
    known: int | None = _kept(run).get("chosen")
    if known is None:
        raise ConfigError(
            "how many heads are to agree is not known.",
            where="--over pairs",
            mend="Add heads (--over heads,pairs), or give tune.heads a number.",
        )
    return known


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


def counts_of(run: Run) -> list[int]:
    """The numbers of heads to try.

    Raises:
        ConfigError: one is more than there are.
    """
    given, there = run.config.sweep.counts, len(list(run.view.heads()))
    if given and max(given) > there:
        raise ConfigError(
            f"{max(given)} heads are more than the {there} there are.",
            where="sweep.counts",
            mend="Give smaller numbers.",
        )
    doubled = [2**i for i in range(there.bit_length()) if 2**i <= max(1, there // 2)]
    return sorted(set(given)) or doubled


def _point(run: Run, count: int, share: float) -> dict[str, Any]:
    """One tuning: `count` heads, on `share` of the training questions, in as many steps as on all."""
    space, key = run.workspace.sub("sweep"), key_of(run, "sweep")
    name = f"{count}-heads-{share:g}.json"
    # A point of an older version has no intervals.
    if space.has(name) and (kept := space.read_json(name))["key"] == key and "estimates" in kept:
        return dict(kept)
    if run.processes.count > 1:
        raise ConfigError(
            "the sweep over numbers of heads runs in one process.",
            where="tune.heads: validation",
            mend="Run `pinpoint sweep` first, without a launcher: its points are kept. Or give a number of heads.",
        )
    check_tunable(run)
    point = _tuned(run, count, share) | {"key": key}
    space.write_json(name, point)
    return point


def _tuned(run: Run, count: int, share: float) -> dict[str, Any]:
    every, seed, behaviour = trained(run), run.config.seed, run.inputs.behaviour
    some = draw(every, max(1, round(share * len(every))), seed)
    config = run.config.tune.model_copy(update={"epochs": run.config.tune.epochs * len(every) / len(some)})
    with (
        tempfile.TemporaryDirectory() as folder,
        fit_heads(
            run.model,
            run.tokenizer,
            run.ranking()[:count],
            behaviour.rows(some, seed, explained(run)),
            config,
            validation_check(run, config),
            seed=seed,
            out=Path(folder),
            targets=behaviour.targets(config),
            neutral=behaviour.neutral(some) if config.anchor else (),
            progress=run.progress,
        ) as (_, fitted),
    ):
        pass
    last = fitted.history[-1]
    return {
        "heads": count,
        "share": share,
        "questions": len(some),
        "trainable_parameters": fitted.trainable,
        "steps": last.step,
        "seconds": fitted.seconds,
        "metrics": last.metrics,
        "estimates": last.estimates,
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
