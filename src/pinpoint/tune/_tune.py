"""Pinpoint tuning of head slices, and full fine-tuning beside it."""

import copy
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from pinpoint.measure import anchor_rows, under
from pinpoint.models import asking_hub, context_of, headed, is_quantised, is_spread
from pinpoint.processes import Processes
from pinpoint.progress import Progress, Silent
from pinpoint.tune._adapter import adapted, merged, put_on
from pinpoint.tune._check import Check
from pinpoint.tune._fit import Fitted, fit
from pinpoint.tune._rows import Anchor
from pinpoint.tune._slices import default_projections, head_slices

_LEAST_SHARD, _MOST_SHARD, _SHARDS = 10_000_000, 2_000_000_000, 32


class Tuned(NamedTuple):
    """How a tuned model came about; it itself is in the workspace.

    Attributes:
        fitted: what training did.
        fidelity: the largest difference between the merged model's next-token logits and the live adapter's on 16
            training prompts, relative to the largest logit; None where nothing was merged.
        drift: of a quantised base, the same between the merged model, which is not quantised, and the adapter over the
            quantised base that it was trained on.
    """

    fitted: Fitted
    fidelity: float | None = None
    drift: float | None = None


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
    with only_at(under(model), last):
        logits: torch.Tensor = model(**batch.inputs(), use_cache=False).logits
    return logits[0].float()


def _difference(after: torch.Tensor, before: torch.Tensor) -> float:
    before = before.to(after.device)
    return float((after - before).abs().max() / before.abs().max())


@contextmanager
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
) -> Iterator[tuple[PeftModel, Fitted]]:
    """Trains the slices of `heads` as an adapter on the model, and keeps nothing: see `tune_heads`.

    Returns:
        The live adapter and what training did; after the block, the model is as it was.
    """
    view, anchor = headed(model), None
    if config.anchor:
        anchor = Anchor(anchor_rows(tokenizer, neutral, context_of(model)), config.anchor)
    with adapted(view, head_slices(view, heads, config.projections or default_projections(view))) as live:
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
            anchor=anchor,
            processes=processes,
        )
        yield live, fitted


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
    unquantised: Callable[[], PreTrainedModel] | None = None,
) -> Tuned:
    """Supervised pinpoint tuning: trains the slices of `heads` alone (Chen et al. 2024, section 4).

    Writes `tune.json`, `adapter/` (a plain PEFT LoRA in float32) and `merged/` into the workspace. `model` carries
    the adapter meanwhile, and is then as it was. Where it is quantised, the adapter is merged into the weights of
    `unquantised`, and into none where that is None.

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
        targets: rates of `check` that stop training, where `config.stop_early` says so; None for those of `config`.
        neutral: dialogues that `config.anchor` holds the model to its base on.
        notes: what `tune.json` says besides.
        partial: keeps checkpoints; a call with the same arguments goes on from what it holds.
        progress: told of each step.
        processes: those that train together, each on its share of every step; the first alone writes.
        unquantised: loads the model that a quantised one was made of.

    Returns:
        What training did, and how near the merged model is to it. Processes beside the first save and compute nothing
        more.
    """
    out = (partial or workspace).path("trainer")
    prompts = [row["prompt"] for row in rows[:16]]
    quantised, fidelity, drift = is_quantised(model), None, None
    with fit_heads(
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
    ) as (live, fitted):
        if processes is not None and not processes.first:
            return Tuned(fitted)
        live.peft_config["default"].base_model_name_or_path = base_path
        # PEFT looks there whether the vocabulary has grown.
        with asking_hub(base_path), workspace.folder("adapter") as folder:
            live.save_pretrained(str(folder))
            tokenizer.save_pretrained(str(folder))
        trained = _next_token_logits(live, tokenizer, prompts)
        if not quantised:
            fidelity, _ = _merge(live, tokenizer, prompts, workspace)
    if quantised and unquantised is not None:
        other = put_on(unquantised(), workspace.path("adapter"))
        fidelity, after = _merge(other, tokenizer, prompts, workspace)
        drift = _difference(after, trained)
    elif quantised:
        workspace.drop("merged")
    named = [str(head) for head in heads]
    projections = config.projections or default_projections(headed(model))
    record = {"quantised": {"merged": fidelity is not None, "drift": drift}} if quantised else {}
    _record(workspace, fitted, heads=named, projections=projections, fidelity=fidelity, **record, **(notes or {}))
    shutil.rmtree(out, ignore_errors=True)
    return Tuned(fitted, fidelity, drift)


def _merge(
    live: PeftModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Messages], workspace: Workspace
) -> tuple[float, torch.Tensor]:
    """Writes `merged/`; how far its logits are from the live adapter's, and what they are."""
    before = _next_token_logits(live, tokenizer, prompts)
    with merged(live) as model:
        after = _next_token_logits(model, tokenizer, prompts)
        with workspace.folder("merged") as folder:
            save_model(model, tokenizer, folder)
    return _difference(after, before), after


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
    """Full fine-tuning on the same rows, through the same path, as `tune_heads`. Writes `tune.json` and `merged/`.

    Raises:
        InputError: the model's weights are quantised, or it is spread over devices.
    """
    if is_quantised(model) or is_spread(model):
        raise InputError(
            f"{'its weights are quantised' if is_quantised(model) else 'it is on no single device'}: full fine-tuning "
            "changes every weight, in float32.",
            where=str(model.name_or_path),
            mend="Tune heads alone (full: null).",
        )
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
    _in_dtypes_of(model, whole)
    if processes is not None and not processes.first:
        return Tuned(fitted)
    with workspace.folder("merged") as folder:
        save_model(whole, tokenizer, folder)
    _record(workspace, fitted, learning_rate=config.learning_rate)
    shutil.rmtree(out, ignore_errors=True)
    return Tuned(fitted)


def _in_dtypes_of(model: PreTrainedModel, whole: PreTrainedModel) -> None:
    """Each weight in its own precision: some models keep a few in float32, as the biases that choose experts."""
    for kind in ("named_parameters", "named_buffers"):
        own: dict[str, torch.Tensor] = dict(getattr(model, kind)())
        for name, weight in getattr(whole, kind)():
            weight.data = weight.data.to(own[name].dtype)


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Saves weights, generation config, tokenizer and chat template to one folder."""
    more: dict[str, Any] = {}
    if is_spread(model):
        # Of a model that is fetched as it runs, a file's weights are in memory at once.
        whole = sum(weight.numel() * weight.element_size() for weight in model.parameters())
        more["max_shard_size"] = min(_MOST_SHARD, max(_LEAST_SHARD, whole // _SHARDS))
    model.save_pretrained(str(folder), **more)
    tokenizer.save_pretrained(str(folder))
