"""The tuning stages of a run: the chosen heads, and the whole model beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import TrainingRow
from pinpoint.config import TuneConfig
from pinpoint.heads import Head
from pinpoint.models import is_quantised
from pinpoint.pipeline._checks import merge_faithful, merge_unquantised
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._explaining import explained, explained_counts, tell_of_unused
from pinpoint.pipeline._locating import check_stability, located_scores
from pinpoint.pipeline._served import quantised_in, unquantised
from pinpoint.pipeline._stages import partial_of
from pinpoint.pipeline._tunable import check_full, check_tunable
from pinpoint.pipeline._validation import validation_check
from pinpoint.pipeline._wrong_answers import with_wrong, wrong_counts, wrong_written
from pinpoint.tune import Tuned, tune_full, tune_heads

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

Texts = Mapping[str, Mapping[str, str]]
"""What the base wrote for the training dialogues, by question: `wrong` answers, and `why` the right ones are right."""
MERGE_LIMIT = {torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 1e-1}


def tune_run(run: Run) -> Tuned:
    """Tunes the chosen heads; writes `tune.json`, `adapter/` and `merged/`."""
    check_tunable(run)
    # It comes next: what cannot be done is not told after the one that can.
    check_full(run)
    inputs = run.inputs
    run.note(inputs.unleaked)
    heads = chosen_heads(run)
    if not isinstance(run.config.tune.heads, tuple):  # named ones need no locating
        check_stability(run, located_scores(run), len(heads))
    tell_of_unused(run)
    texts = _texts(run)
    partial = partial_of(run, "tune")
    run.share("tune", heads=list(map(str, heads)), partial=partial.root.name, texts=texts)
    notes = {"thinking": run.config.thinking, **wrong_counts(run), **explained_counts(run)}
    tuned = _tuned(run, heads, partial, texts, notes)
    if is_quantised(run.model):
        run.note(merge_unquantised(tuned.drift, quantised_in(run)))
    if tuned.fidelity is not None:
        run.note(merge_faithful(tuned.fidelity, MERGE_LIMIT[run.model.dtype]))
    return tuned


def _texts(run: Run) -> Texts:
    return {"wrong": wrong_written(run), "why": explained(run)}


def _rows(run: Run, texts: Texts) -> list[TrainingRow]:
    items = with_wrong(run.inputs.questions("train"), texts["wrong"])
    return run.inputs.behaviour.rows(items, run.config.seed, texts["why"])


def _tuned(
    run: Run, heads: Sequence[Head], partial: Workspace, texts: Texts, notes: Mapping[str, Any] | None = None
) -> Tuned:
    inputs, config, seed = run.inputs, run.config.tune, run.config.seed
    return tune_heads(
        run.model,
        run.tokenizer,
        heads,
        _rows(run, texts),
        config,
        validation_check(run, config),
        run.workspace,
        base_path=run.config.model,
        seed=seed,
        targets=inputs.behaviour.targets(config),
        neutral=inputs.behaviour.neutral(inputs.questions("train")) if config.anchor else (),
        notes=notes,
        partial=partial,
        progress=run.progress,
        processes=run.processes,
        unquantised=unquantised(run),
    )


def follow_tune(run: Run, heads: Sequence[str], partial: str, texts: Texts) -> None:
    """Takes part in tuning the heads that the first process chose, on the texts that it has."""
    _tuned(run, [Head.parse(name) for name in heads], run.workspace.sub("partial").sub(partial), texts)


def tune_full_run(run: Run) -> Tuned | None:
    """Full fine-tuning beside it, unless it is left out; writes `full/tune.json` and `full/merged/`."""
    config = run.config.full
    # A copied folder may hold what is no longer asked for.
    if config is None or config.search is None:
        run.workspace.drop("search.json")
    if config is None:
        run.workspace.drop("full")
        return None
    check_full(run)
    check_tunable(run)
    texts = _texts(run)
    partial = partial_of(run, "tune_full")
    run.share("tune_full", partial=partial.root.name, texts=texts)
    tuned = _tuned_full(run, config, partial, texts)
    if config.search is not None:
        run.workspace.write_text("search.json", Path(config.search).read_text(encoding="utf-8"))
    return tuned


def _tuned_full(run: Run, config: TuneConfig, partial: Workspace, texts: Texts) -> Tuned:
    return tune_full(
        run.model,
        run.tokenizer,
        _rows(run, texts),
        config,
        validation_check(run, config),
        run.workspace.sub("full"),
        seed=run.config.seed,
        targets=run.inputs.behaviour.targets(config),
        partial=partial,
        progress=run.progress,
        processes=run.processes,
    )


def follow_tune_full(run: Run, partial: str, texts: Texts) -> None:
    """Takes part in tuning the whole model."""
    assert run.config.full is not None
    _tuned_full(run, run.config.full, run.workspace.sub("partial").sub(partial), texts)
