"""Pinpoint tuning of head slices, and full fine-tuning beside it."""

import copy
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Workspace, provenance
from pinpoint.behaviours import TrainingRow
from pinpoint.config import TuneConfig
from pinpoint.data import Dialogue, Messages, encode_chat, pad
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.interventions import only_at
from pinpoint.measure import anchor_rows
from pinpoint.models import headed
from pinpoint.processes import Processes
from pinpoint.progress import Progress, Silent
from pinpoint.tune._check import Check
from pinpoint.tune._fit import Fitted, fit
from pinpoint.tune._slices import attach, default_projections, head_slices
from pinpoint.tune._trainer import Anchor


class Tuned(NamedTuple):
    """A tuned model, ready to be evaluated, and how it came about."""

    model: PreTrainedModel | PeftModel
    fitted: Fitted
    fidelity: float | None


def _record(workspace: Workspace, fitted: Fitted, **more: object) -> None:
    workspace.write_json(
        "tune.json",
        {
            "history": [checkpoint._asdict() for checkpoint in fitted.history],
            "losses": fitted.losses,
            "trainable_parameters": fitted.trainable,
            "seconds": fitted.seconds,
            "reached": fitted.reached,
            **more,
            "provenance": provenance(),
        },
    )


@torch.no_grad()
def _next_token_logits(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Messages]
) -> torch.Tensor:
    batch = pad([encode_chat(tokenizer, prompt) for prompt in prompts], "left", model.device)
    last = torch.zeros_like(batch.input_ids, dtype=torch.bool)
    last[:, -1] = True
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    with only_at(base, last):
        logits: torch.Tensor = model(**batch.inputs(), use_cache=False).logits
    return logits[0].float()


def _refuse_quantised(model: PreTrainedModel) -> None:
    if getattr(model, "is_quantized", False):
        raise InputError(
            "its weights are quantised: what is trained would be rounded away where it is merged.",
            where=str(model.name_or_path),
            mend="Locate with it, and tune the model that it was quantised from: name the heads with --heads.",
        )


def fit_heads(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    heads: Sequence[Head],
    rows: Sequence[TrainingRow],
    config: TuneConfig,
    check: Check,
    *,
    seed: int,
    out: Path,
    targets: Mapping[str, float] | None = None,
    neutral: Sequence[Dialogue] = (),
    resume: bool = False,
    progress: Progress | None = None,
    processes: Processes | None = None,
) -> tuple[PeftModel, Fitted]:
    """Trains the slices of `heads` on a copy of the model, and keeps nothing: see `tune_heads`.

    Returns:
        The live adapter on the copy, and what training did.

    Raises:
        InputError: the model's weights are quantised.
    """
    _refuse_quantised(model)
    view = headed(copy.deepcopy(model))
    live = attach(view, head_slices(view, heads, config.projections or default_projections(view)))
    fitted = fit(
        live,
        tokenizer,
        rows,
        config,
        check,
        seed=seed,
        out=out,
        progress=progress or Silent(),
        what=f"{len(heads)} head slices",
        targets=targets,
        resume=resume,
        anchor=Anchor(anchor_rows(tokenizer, neutral), config.anchor) if config.anchor else None,
        processes=processes,
    )
    return live, fitted


def tune_heads(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    heads: Sequence[Head],
    rows: Sequence[TrainingRow],
    config: TuneConfig,
    check: Check,
    workspace: Workspace,
    *,
    base_path: str,
    seed: int,
    targets: Mapping[str, float] | None = None,
    neutral: Sequence[Dialogue] = (),
    notes: Mapping[str, Any] | None = None,
    partial: Workspace | None = None,
    progress: Progress | None = None,
    processes: Processes | None = None,
) -> Tuned:
    """Supervised pinpoint tuning: trains the slices of `heads` alone (Chen et al. 2024, section 4).

    Writes `tune.json`, `adapter/` (a plain PEFT LoRA in float32) and `merged/` into the workspace. `model` is
    left as it was.

    Args:
        model: the base model.
        tokenizer: its tokenizer.
        heads: the heads to tune.
        rows: training dialogues.
        config: settings.
        check: measures a model on validation questions.
        workspace: where artifacts go.
        base_path: what the adapter names as its base model.
        seed: of shuffling.
        targets: rates of `check` that stop training; None for those of `config`.
        neutral: dialogues that `config.anchor` holds the model to its base on.
        notes: what `tune.json` says besides.
        partial: keeps checkpoints; a call with the same arguments goes on from what it holds.
        progress: told of each step.
        processes: those that train together, each on its share of every step; the first alone writes.

    Returns:
        The merged model, and `fidelity`: the largest difference between its next-token logits and those of the
        live adapter on 16 training prompts, relative to the largest logit. Processes beside the first save and compute
        nothing more; they get the live adapter.

    Raises:
        InputError: the model's weights are quantised.
    """
    out = (partial or workspace).path("trainer")
    live, fitted = fit_heads(
        model,
        tokenizer,
        heads,
        rows,
        config,
        check,
        seed=seed,
        out=out,
        targets=targets,
        neutral=neutral,
        resume=partial is not None,
        progress=progress,
        processes=processes,
    )
    live.peft_config["default"].base_model_name_or_path = base_path
    if processes is not None and not processes.first:
        return Tuned(live.eval(), fitted, None)
    with workspace.folder("adapter") as folder:
        live.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
    prompts = [row["prompt"] for row in rows[:16]]
    before = _next_token_logits(live, tokenizer, prompts)
    merged = live.merge_and_unload(safe_merge=True)
    fidelity = float((_next_token_logits(merged, tokenizer, prompts) - before).abs().max() / before.abs().max())
    with workspace.folder("merged") as folder:
        save_model(merged, tokenizer, folder)
    named = [str(head) for head in heads]
    projections = config.projections or default_projections(headed(model))
    _record(workspace, fitted, heads=named, projections=projections, fidelity=fidelity, **(notes or {}))
    shutil.rmtree(out, ignore_errors=True)
    return Tuned(merged.eval(), fitted, fidelity)


def tune_full(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[TrainingRow],
    config: TuneConfig,
    check: Check,
    workspace: Workspace,
    *,
    seed: int,
    targets: Mapping[str, float] | None = None,
    partial: Workspace | None = None,
    progress: Progress | None = None,
    processes: Processes | None = None,
) -> Tuned:
    """Full fine-tuning on the same rows, through the same path, as `tune_heads`. Writes `tune.json` and `merged/`."""
    _refuse_quantised(model)
    # In a half precision, most of AdamW's steps would be lost to rounding; adapters train in float32 too.
    whole = copy.deepcopy(model).to(torch.float32)  # type: ignore[arg-type]
    whole.requires_grad_(True)
    out = (partial or workspace).path("trainer")
    fitted = fit(
        whole,
        tokenizer,
        rows,
        config,
        check,
        seed=seed,
        out=out,
        progress=progress or Silent(),
        what="all weights",
        targets=targets,
        resume=partial is not None,
        processes=processes,
    )
    whole = whole.to(model.dtype)
    if processes is not None and not processes.first:
        return Tuned(whole, fitted, None)
    with workspace.folder("merged") as folder:
        save_model(whole, tokenizer, folder)
    _record(workspace, fitted, learning_rate=config.learning_rate)
    shutil.rmtree(out, ignore_errors=True)
    return Tuned(whole.eval(), fitted, None)


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Saves weights, generation config, tokenizer and chat template to one folder."""
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
