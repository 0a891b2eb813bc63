"""The verify stage of a run: the located heads knocked out, other heads beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinpoint.artifacts import provenance
from pinpoint.measure import head_means
from pinpoint.memory import BatchSize
from pinpoint.pipeline._checks import knockout_bites
from pinpoint.verify import Prompts, curve, generate_knocked_out, shortest_prefix

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


def verify_run(run: Run) -> dict[str, Any]:
    """Knocks the located heads out; writes `verify/verify.json`."""
    config, seed = run.config.verify, run.config.seed
    evaluation = run.config.evaluate
    ranking = run.ranking()
    pairs, _, effect_half = run.inputs.halves
    at_once = BatchSize(config.batch_size, "verify.batch_size")
    means = head_means(run.view, run.tokenizer, run.inputs.neutral, at_once)
    shown, metric = [pairs[i] for i in effect_half], run.config.locate.metric
    prompts = Prompts(run.view, run.tokenizer, shown, config.mode, means, at_once, metric)
    drawn = curve(prompts, run.view, ranking, config, resamples=evaluation.resamples, seed=seed, progress=run.progress)
    run.note(knockout_bites([point.value for point in drawn.ranked]))
    generated = []
    if config.mode != "resample":
        generated = generate_knocked_out(
            run.view,
            run.tokenizer,
            run.inputs.questions("validation"),
            ranking,
            means,
            config,
            run.inputs.behaviour,
            max_new_tokens=evaluation.max_new_tokens,
            resamples=evaluation.resamples,
            seed=seed,
            progress=run.progress,
        )
    found = {
        "mode": config.mode,
        "max_heads": len(drawn.ranked) - 1,
        "share": config.share,
        "auto": shortest_prefix([point.value or 0.0 for point in drawn.ranked], config.share),
        "curve": drawn.to_json(),
        "generated": [
            {"heads": row.heads} | {name: rate.to_json() for name, rate in row.rates.items()} for row in generated
        ],
        "provenance": provenance(model=run.config.model, **run.chosen),
    }
    run.workspace.sub("verify").write_json("verify.json", found)
    return found
