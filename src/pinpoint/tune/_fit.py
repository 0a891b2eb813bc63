"""One training path for the head slices and for the whole model: TRL's SFTTrainer."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)

from pinpoint.artifacts import write_whole
from pinpoint.config import TuneConfig
from pinpoint.errors import ConfigError, InputError
from pinpoint.memory import told_when_out_of_memory
from pinpoint.models import asking_hub, context_of
from pinpoint.processes import Processes
from pinpoint.progress import Progress
from pinpoint.storage import storing
from pinpoint.tune._check import Check, Checkpoint, estimates_of, reaches, values_of, words_of
from pinpoint.tune._checkpoints import Saved, keep_only, last_checkpoint, reading
from pinpoint.tune._lengths import check_rows
from pinpoint.tune._prefix import cached_prefix
from pinpoint.tune._replicas import check_alike
from pinpoint.tune._rows import Anchor, Row
from pinpoint.tune._split import check_kind, check_split, split_copy, take_back

_WARMUP = 4


class Fitted(NamedTuple):
    """What training did.

    Attributes:
        history: the checks, in order.
        losses: of every step.
        trainable: parameters that were trained.
        seconds: spent training, checks left out.
        reached: whether the last check reached every target.
        loss_tokens: tokens that took loss, over the steps that this process made; of preference rows, both replies'.
    """

    history: list[Checkpoint]
    losses: list[float]
    trainable: int
    seconds: float
    reached: bool
    loss_tokens: int


class _Watch(TrainerCallback):
    """Checks the model on validation questions, and stops training once it is good enough, where it is to."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        config: TuneConfig,
        check: Check,
        targets: Mapping[str, float],
        progress: Progress,
        journal: Path | None,
        processes: Processes,
    ) -> None:
        self._model: Any = model
        self._config, self._check, self._targets, self._processes = config, check, targets, processes
        self._progress, self._journal = progress, journal
        self._began = time.perf_counter()
        self._paused = 0.0
        self.history: list[Checkpoint] = []

    @property
    def seconds(self) -> float:
        """Time spent training, checks left out."""
        return time.perf_counter() - self._began - self._paused

    @property
    def reached(self) -> bool:
        """Whether the last check reached every target."""
        return bool(self.history) and reaches(self.history[-1].metrics, self._targets)

    @property
    def satisfied(self) -> bool:
        """Whether training is over before its epochs are."""
        return self._config.stop_early and self.reached

    def go_on(self, step: int) -> None:
        """Takes up the checks that an earlier process made up to `step`."""
        assert self._journal is not None
        rows = json.loads(self._journal.read_text(encoding="utf-8")) if self._processes.first else None
        kept = [Checkpoint(*row) for row in self._processes.from_first(rows)]
        self.history = [checkpoint for checkpoint in kept if checkpoint.step <= step]
        self._paused -= self.history[-1].seconds
        self._progress.advance(step)

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> TrainerControl:
        """Runs a check every `check_every` steps and at the end."""
        self._progress.advance()
        if state.global_step % self._config.check_every and state.global_step != state.max_steps:
            return control
        paused = time.perf_counter()
        take_back(self._model, model)
        training = model.training
        self._model.eval()
        # One process decides for all whether training goes on.
        found = self._check(self._model) if self._processes.first else {}
        metrics, estimates = self._processes.from_first([values_of(found), estimates_of(found)])
        model.train(training)
        self._paused += time.perf_counter() - paused
        self.history.append(Checkpoint(state.global_step, self.seconds, metrics, estimates))
        self._progress.say(f"step {state.global_step}: {words_of(metrics, estimates)}")
        if self._journal is not None and self._processes.first:
            write_whole(self._journal, json.dumps(self.history).encode())
        if self.satisfied:
            control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Marks the checkpoint that was just written to its end, by every process; those before it go."""
        self._processes.meet()
        if self._processes.first:
            keep_only(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def _check_kinds(rows: Sequence[Row], config: TuneConfig, processes: Processes) -> None:
    preferences = "rejected" in rows[0]
    if processes.count > 1 and preferences:
        # Their loss is a mean over rows, those included that fill an epoch's last batch up.
        raise ConfigError("preference rows are trained on by one process.", mend="Start it without torchrun.")
    if config.cache_prefix and (preferences or processes.count > 1):
        why = "preference rows are trained on by TRL's own steps" if preferences else "every process would compute all"
        raise ConfigError(
            f"{why}: the layers below cannot be computed once.",
            where="tune.cache_prefix",
            mend="Leave it out." if preferences else "Leave it out, or start one process.",
        )


def _schedule(config: TuneConfig, steps: int) -> dict[str, Any]:
    """A straight line, after a few steps of warming up."""
    if not config.end_learning_rate:
        return {"lr_scheduler_type": "linear", "warmup_steps": _WARMUP}
    # This schedule divides by the steps that are left after warming up.
    return {
        "lr_scheduler_type": "polynomial",
        "lr_scheduler_kwargs": {"lr_end": config.end_learning_rate, "power": 1.0},
        "warmup_steps": min(_WARMUP, steps - 1),
    }


def _arguments(
    config: TuneConfig, steps: int, seed: int, out: Path, resume: bool, device: torch.device, processes: Processes
) -> dict[str, Any]:
    return {
        "output_dir": str(out),
        "per_device_train_batch_size": processes.share_of(config.batch_size, "batch_size"),
        "num_train_epochs": config.epochs,
        "learning_rate": config.learning_rate,
        **_schedule(config, steps),
        "weight_decay": config.weight_decay,
        "max_length": None,
        # With PEFT, checkpointing makes the embeddings require gradients and the backward pass whole again.
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": device.type == "cpu",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if resume else "no",
        "save_steps": config.check_every,
        "save_total_limit": None,  # older ones go once the newest is whole
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": seed,
        "data_seed": seed,
    }


def _agreed(checkpoint: Saved | None, processes: Processes) -> Saved | None:
    """The checkpoint that the first process found."""
    found = processes.from_first(checkpoint and (checkpoint.step, str(checkpoint.folder)))
    if found is None:
        return None
    check_kind(Path(found[1]), processes)
    return Saved(found[0], Path(found[1]))


def fit(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    config: TuneConfig,
    check: Check,
    *,
    seed: int,
    out: Path,
    progress: Progress,
    what: str,
    targets: Mapping[str, float] | None = None,
    anchor: Anchor | None = None,
    resume: bool = False,
    processes: Processes | None = None,
) -> Fitted:
    """Trains whatever of `model` requires gradients on the replies of `rows`.

    Args:
        model: trained in place.
        tokenizer: its tokenizer.
        rows: conversational prompt/completion rows, whose loss falls on the completion alone; or preference rows,
            for direct preference optimisation (Rafailov et al. 2023) against the model as it is.
        config: settings.
        check: measures the model on validation questions; must give every rate of `targets`.
        seed: of shuffling.
        out: folder for what the trainer writes.
        progress: told of each step.
        what: name of what is trained, for `progress`.
        targets: training stops at the first check that reaches them all, where `config.stop_early` says so; None for
            those of `config`.
        anchor: adds the KL to the base on neutral dialogues to the loss; for adapters only.
        resume: save a checkpoint in `out` at every check, and go on from one that is there.
        processes: those that train together; `out` is one folder for all.

    Raises:
        InputError: a row is longer than the model reads, or the loss is not finite.
        StorageError: a checkpoint cannot be written.
        ArtifactError: the checkpoint to go on from holds more than weights.
        OutOfMemory: a step does not fit the memory; supervised steps are taken in parts before it comes to this.
        ConfigError: a batch cannot be dealt evenly to the processes; several have preference rows; or
            `config.cache_prefix` or `config.micro_batch_size` is set where it cannot be.
        CheckFailed: the processes ended with different weights; or `config.cache_prefix` is set and the layers below
            the tuned heads are not the same at every pass.
    """
    processes = processes or Processes()
    # Here, not above: what trains nothing need not wait for TRL and datasets.
    from pinpoint.tune._trainer import trainer_of

    _check_kinds(rows, config, processes)
    check_rows(rows, tokenizer, context_of(model))
    wanted = config.targets if targets is None else targets
    watch = _Watch(model, config, check, wanted, progress, out / "history.json" if resume else None, processes)
    steps = config.steps(len(rows))
    arguments = _arguments(config, steps, seed, out, resume, model.device, processes)
    device = model.device if processes.count == 1 else None
    trained = split_copy(model) if processes.split else model
    common = {"model": trained, "processing_class": tokenizer, "callbacks": [watch]}
    trainer = trainer_of(rows, arguments, anchor, model, device, config.micro_batch_size, **common)
    check_split(trainer, processes)
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    progress.start(f"tuning {what}", steps)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    checkpoint = _agreed(last_checkpoint(out) if resume and processes.first else None, processes)
    if checkpoint is not None:
        progress.say(f"going on from step {checkpoint.step}")
        watch.go_on(checkpoint.step)
    state = checkpoint and TrainerState.load_from_json(str(checkpoint.folder / "trainer_state.json"))
    if checkpoint and state and (watch.satisfied or state.global_step >= state.max_steps):
        # The trainer would take one more step before it saw that training is over.
        trainer._load_from_checkpoint(str(checkpoint.folder))
        trainer.state = state
    else:
        advice = "Lower its batch_size, or leave full fine-tuning out (full: null)."
        with told_when_out_of_memory(f"tuning {what}", advice), processes.noticing(), storing(out), ExitStack() as kept:
            if config.cache_prefix:
                below = cached_prefix(
                    model, trainer.rows(), config.at_once, out, progress, routers=trainer.aux_loss_enabled
                )
                trainer.prefix = kept.enter_context(below)
            # At every checkpoint of an adapter, PEFT looks up its base.
            kept.enter_context(asking_hub(model.name_or_path or ""))
            kept.enter_context(reading(checkpoint))
            trainer.train(resume_from_checkpoint=str(checkpoint.folder) if checkpoint else None)
    take_back(model, trained)
    model.eval()
    check_alike(model, processes)
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    if not all(map(math.isfinite, losses)):
        raise InputError("the loss is not finite.", where=what, mend="Lower the learning rate.")
    return Fitted(watch.history, losses, trainable, watch.seconds, watch.reached, trainer.loss_tokens)
