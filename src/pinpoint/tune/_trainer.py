"""TRL's trainers, and what they lack: steps in parts, every row once an epoch, a hold on neutral dialogues."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from pinpoint.data import pad
from pinpoint.errors import ConfigError
from pinpoint.interventions import only_at
from pinpoint.measure import reply_kl, under
from pinpoint.memory import BatchSize, out_of_memory, release
from pinpoint.tune._prefix import Prefix
from pinpoint.tune._rows import Anchor, Row

_ANCHORS_A_STEP = 16


class _Untold:
    """A trainer of which TRL does not tell its makers: left alone, it does so for each that is made."""

    def _send_telemetry(self) -> None: ...


class _Supervised(_Untold, SFTTrainer):
    """Takes a step in parts where the whole does not fit the memory; holds the model to its base where asked to.

    The loss is a sum over the batch's tokens by their number, so the gradients of the parts add up to the whole's, and
    those of several processes to those of one.
    """

    anchor: Anchor | None = None
    whole: Any = None
    prefix: Prefix | None = None
    part: int | None = None
    loss_tokens: int = 0

    def rows(self) -> list[list[int]]:
        """Token ids of everything that a step may run on."""
        held = [] if self.anchor is None else [row.ids for row in self.anchor.rows]
        dataset: Any = self.train_dataset
        return [*dataset["input_ids"], *held]

    def _below(self, inputs: dict[str, Any]) -> AbstractContextManager[None]:
        """Skips the frozen layers below, where what they put out is at hand."""
        if self.prefix is None:
            return nullcontext()
        return self.prefix.supplied(inputs["input_ids"], inputs["attention_mask"])

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's loss, of the positions that have one: where it has no kernel of its own, it unembeds all."""
        labels = inputs["labels"][:, 1:]
        scored = labels != -100
        # As TRL takes labels of processes that share a row: already shifted.
        given = {name: value for name, value in inputs.items() if name != "labels"}
        given["shift_labels"] = labels[scored].unsqueeze(0)
        with (
            self._below(inputs),
            only_at(under(self.accelerator.unwrap_model(model)), functional.pad(scored, (0, 1))),
        ):
            return super().compute_loss(model, given, *args, **kwargs)  # type: ignore[no-untyped-call]

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        return super().get_batch_samples(map(self._without_repeats, epoch_iterator), num_batches, device)  # type: ignore[no-untyped-call, unused-ignore]

    def _without_repeats(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Takes the rows out of the loss with which accelerate fills an epoch's last batch up for all processes."""
        each, count = self.args.per_device_train_batch_size, self.accelerator.num_processes
        # Not accelerate's own remainder: it has none for an epoch that is taken up in its midst.
        left = len(self.train_dataset) % (each * count)  # type: ignore[arg-type]
        if self.accelerator.gradient_state.end_of_dataloader and left > 0:
            inputs["labels"][max(0, left - each * self.accelerator.process_index) :] = -100
        return inputs

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        rows = len(inputs["input_ids"])
        self.loss_tokens += int((inputs["labels"][:, 1:] != -100).sum())
        while True:
            try:
                return self._step(model, inputs, num_items_in_batch)
            except Exception as error:
                # The auxiliary loss of a router is no sum over tokens; and processes take their steps together.
                if not out_of_memory(error) or self.aux_loss_enabled or self.accelerator.num_processes > 1:
                    raise
                self._at_once.halve(error, min(rows, self._at_once.now))
            model.zero_grad(set_to_none=True)
            release()

    @cached_property
    def _at_once(self) -> BatchSize:
        whole = self.args.per_device_train_batch_size
        if self.part is None or self.part >= whole:
            return BatchSize(whole, "tuning's batch_size")
        return BatchSize(self.part, "tuning's micro_batch_size")

    def _step(self, model: Any, inputs: dict[str, Any], items: Any) -> Tensor:
        rows, most = len(inputs["input_ids"]), self._at_once.now
        losses = []
        for start in range(0, rows, most):
            cut = slice(start, start + most)
            part = {name: value[cut] if torch.is_tensor(value) else value for name, value in inputs.items()}
            losses.append(super().training_step(model, part, items))  # type: ignore[no-untyped-call]
        held = [] if self.anchor is None else self._hold(model, self.anchor)
        return torch.stack([*losses, *held]).sum()

    def _hold(self, model: Any, anchor: Anchor) -> list[Tensor]:
        """Adds the gradient of the KL to the base, which is the model with its adapter switched off."""
        # By the step, so that training that goes on from a checkpoint sees what it would have seen.
        turn = self.state.global_step * _ANCHORS_A_STEP
        rows = [anchor.rows[(turn + i) % len(anchor.rows)] for i in range(_ANCHORS_A_STEP)]
        model = self.accelerator.unwrap_model(model)  # several processes wrap it
        tokens = sum(row.deciding.stop - row.deciding.start for row in rows)
        most = max(1, _ANCHORS_A_STEP * self._at_once.now // self._at_once.asked)
        most = min(most, self.part or most)
        held = []
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            inputs = pad([row.ids for row in some], "right", model.device).inputs()
            replies = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
            for i, row in enumerate(some):
                replies[i, row.deciding] = True
            with self._below(inputs):
                # Not the split copy: PEFT marks the weights that it finds at the time, whole ones or parts, as frozen.
                with only_at(under(self.whole), replies), torch.no_grad(), self.whole.disable_adapter():
                    before = self.whole(**inputs, use_cache=False).logits[0]
                with only_at(under(model), replies):
                    after = model(**inputs, use_cache=False).logits[0]
            share = anchor.weight * reply_kl(before, after).sum() / tokens
            self.accelerator.backward(share)
            held.append(share.detach())
        return held


class _Preferring(_Untold, DPOTrainer):
    """Unembeds the replies alone, and asks the model as it was for their likelihoods once, and not in every epoch.

    Counts the tokens of both replies, whose likelihoods the loss sets against each other.
    """

    loss_tokens: int = 0

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Tensor:
        self.loss_tokens += int(inputs["completion_mask"].sum())
        loss: Tensor = super().training_step(model, inputs, *args, **kwargs)  # type: ignore[no-untyped-call, unused-ignore]
        return loss

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        chosen, rejected = self._before(inputs)
        given = {**inputs, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
        return super().compute_loss(partial(self._scored, model), given, *args, **kwargs)  # type: ignore[no-untyped-call, unused-ignore]

    def _scored(self, model: Any, *, labels: Tensor, **given: Any) -> Any:
        """What TRL's forward gives for every token, of which those without a label are 0, as it has them."""
        labels = labels[:, 1:]
        scored = labels != -100  # [row token]
        with only_at(under(self.accelerator.unwrap_model(model)), functional.pad(scored, (0, 1))):
            found = model(**given, shift_labels=labels[scored].unsqueeze(0))
        for name in ("log_probs", "entropy", "mean_logits", "is_top1"):
            values = getattr(found, name)
            if values is not None:
                setattr(found, name, values.new_zeros(scored.shape).masked_scatter(scored, values))
        return found

    @cached_property
    def _known(self) -> dict[tuple[tuple[int, ...], ...], Tensor]:
        return {}

    def _before(self, inputs: dict[str, Any]) -> Tensor:
        """Log-probabilities of the replies before training, [chosen or rejected, row]."""
        both = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].sum(dim=1).tolist(), strict=True)
        rows = [tuple(row[:length]) for row, length in both]
        pairs = list(zip(rows[: len(rows) // 2], rows[len(rows) // 2 :], strict=True))
        if not all(pair in self._known for pair in pairs):
            before = partial(self._scored, self.ref_model or self.model)
            found = torch.stack(self.compute_ref_log_probs(before, inputs))  # type: ignore[no-untyped-call, unused-ignore]
            self._known.update(zip(pairs, found.unbind(dim=1), strict=True))
        return torch.stack([self._known[pair] for pair in pairs], dim=1)


def _on(device: torch.device | None, settings: Any) -> Any:
    """Settings of a trainer that trains on one device.

    Left alone, one process takes the first card, and all others that it sees beside it.
    """
    if device is not None and device.type == "cuda":
        torch.cuda.set_device(device)
        settings._n_gpu = 1
        settings.__dict__["_setup_devices"] = torch.device("cuda", torch.cuda.current_device())
    return settings


def _in_float32(trainer: Any) -> Any:
    """A trainer whose weights are trained in float32: over a quantised base, TRL has put them in bfloat16."""
    for weight in trainer.model.parameters():
        if weight.requires_grad and weight.dtype == torch.bfloat16:
            weight.data = weight.data.float()
    return trainer


def trainer_of(
    rows: Sequence[Row],
    arguments: dict[str, Any],
    anchor: Anchor | None,
    whole: Any,
    device: torch.device | None,
    part: int | None = None,
    **common: Any,
) -> Any:
    """A trainer for supervised rows, or for preference rows by direct preference optimisation.

    Args:
        rows: what to train on, all of one kind.
        arguments: of TRL's configuration.
        anchor: for supervised rows and adapters alone.
        whole: the model, of which a copy may be what is trained.
        device: where to train; None where the launcher of several processes chose.
        part: supervised rows that are run at once, at the most; None for a process's whole share of a step.
        common: of either trainer: model, tokenizer, callbacks.

    Raises:
        ConfigError: the loss of a step is not the sum of its parts' losses.
    """
    dataset = Dataset.from_list([dict(row) for row in rows])
    if "rejected" in rows[0]:
        preferring = _Preferring(args=_on(device, DPOConfig(**arguments)), train_dataset=dataset, **common)
        preferring.precompute_ref_logps = True  # not by TRL, which would ask for all before the first step
        return _in_float32(preferring)
    arguments |= {"completion_only_loss": True}
    trainer = _Supervised(args=_on(device, SFTConfig(**arguments)), train_dataset=dataset, **common)
    # TRL's loss divides by the tokens of the whole step itself, but is told their number for such models alone.
    trainer.model_accepts_loss_kwargs = True
    trainer.anchor, trainer.whole, trainer.part = anchor, whole, part
    if part is not None and trainer.aux_loss_enabled:
        raise ConfigError(
            "the auxiliary loss of this model's router is no sum over dialogues: a step cannot be taken in parts.",
            where="micro_batch_size",
            mend="Leave it out.",
        )
    return _in_float32(trainer)
