"""The tuning stages of a run: the chosen heads, and the whole model beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from pinpoint.config import TuneConfig
from pinpoint.data import draw
from pinpoint.errors import ArtifactError
from pinpoint.heads import Head
from pinpoint.measure import PLAIN, Chat, Deployment, next_token_kl
from pinpoint.pipeline._checks import merge_faithful
from pinpoint.pipeline._locating import check_stability
from pinpoint.pipeline._stages import partial_of
from pinpoint.tune import Check, Tuned, tune_full, tune_heads

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

MERGE_LIMIT = {torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 1e-1}


def chosen_heads(run: Run) -> list[Head]:
    """The heads to tune: named ones, the first of the ranking, or what the knockout curve says.

    Raises:
        ArtifactError: `auto`, and knocking heads out did not lower the behaviour.
    """
    heads = run.config.tune.heads
    if isinstance(heads, tuple):
        return [Head.parse(name) for name in heads]
    if isinstance(heads, int):
        return list(run.ranking()[:heads])
    auto = run.workspace.sub("verify").read_json("verify.json")["auto"]
    if auto is None:
        raise ArtifactError(
            "knocking heads out did not lower the behaviour, so `auto` cannot choose how many to tune.",
            where="verify/verify.json",
            mend="Look at the curve and give a number with --heads.",
        )
    return list(run.ranking()[: min(auto, run.config.tune.max_heads)])


def validation_check(run: Run, config: TuneConfig, deployment: Deployment = PLAIN) -> Check:
    """What tuning is stopped by: the behaviour's rates on validation items; and the KL to the base."""
    behaviour, evaluation = run.inputs.behaviour, run.config.evaluate
    items = draw(run.inputs.questions("validation"), config.check_items, run.config.seed)
    neutral = draw(run.inputs.neutral, config.check_items, run.config.seed)

    def check(model: PreTrainedModel) -> dict[str, float]:
        chat = Chat(model, run.tokenizer, evaluation.batch_size, evaluation.max_new_tokens, deployment)
        rates = behaviour.check(chat, items)
        kl = next_token_kl(run.model, model, run.tokenizer, neutral, evaluation.batch_size, deployment)
        return rates | {"kl": sum(kl) / len(kl)}

    return check


def tune_run(run: Run) -> Tuned:
    """Tunes the chosen heads; writes `tune.json`, `adapter/` and `merged/`."""
    inputs, seed = run.inputs, run.config.seed
    train = inputs.questions("train")
    run.note(inputs.unleaked)
    heads = chosen_heads(run)
    if not isinstance(run.config.tune.heads, tuple):
        check_stability(run, len(heads))
    tuned = tune_heads(
        run.model,
        run.tokenizer,
        heads,
        inputs.behaviour.rows(train, seed),
        run.config.tune,
        validation_check(run, run.config.tune),
        run.workspace,
        base_path=run.config.model,
        seed=seed,
        targets=inputs.behaviour.targets(run.config.tune),
        neutral=inputs.behaviour.neutral(train) if run.config.tune.anchor else (),
        partial=partial_of(run, "tune"),
        progress=run.progress,
    )
    assert tuned.fidelity is not None
    run.note(merge_faithful(tuned.fidelity, MERGE_LIMIT[run.model.dtype]))
    return tuned


def tune_full_run(run: Run) -> Tuned | None:
    """Full fine-tuning beside it, unless it is left out; writes `full/tune.json` and `full/merged/`."""
    config = run.config.full
    if config is None:
        return None
    tuned = tune_full(
        run.model,
        run.tokenizer,
        run.inputs.behaviour.rows(run.inputs.questions("train"), run.config.seed),
        config,
        validation_check(run, config),
        run.workspace.sub("full"),
        seed=run.config.seed,
        targets=run.inputs.behaviour.targets(config),
        partial=partial_of(run, "tune_full"),
        progress=run.progress,
    )
    if config.search is not None:
        run.workspace.write_text("search.json", Path(config.search).read_text(encoding="utf-8"))
    return tuned
