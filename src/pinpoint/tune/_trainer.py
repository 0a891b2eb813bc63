"""TRL's trainers, and what they lack: steps in parts where memory is short, a hold on neutral dialogues."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from torch import Tensor
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from pinpoint.behaviours import PreferenceRow, TrainingRow
from pinpoint.data import pad
from pinpoint.measure import ReplyRow, reply_kl
from pinpoint.memory import BatchSize, out_of_memory, release

Row = TrainingRow | PreferenceRow

_ANCHORS_A_STEP = 16


class Anchor(NamedTuple):
    """Neutral dialogues on which an adapted model is held to its base, and how firmly."""

    rows: list[ReplyRow]
    weight: float


class _Supervised(SFTTrainer):
    """Takes a step in parts where the whole does not fit the memory; holds the model to its base where asked to.

    The loss is a sum over the batch's tokens by their number, so the gradients of the parts add up to the whole's.
    """

    anchor: Anchor | None = None

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        rows = len(inputs["input_ids"])
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
        return BatchSize(self.args.per_device_train_batch_size, "tuning's batch_size")

    def _step(self, model: Any, inputs: dict[str, Any], items: Any) -> Tensor:
        rows, most = len(inputs["input_ids"]), self._at_once.now
        if rows > most and items is None:
            items = inputs["labels"][:, 1:].ne(-100).sum()
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
        held = []
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            batch = pad([row.ids for row in some], "right", model.device)
            with torch.no_grad(), model.disable_adapter():
                before = model(**batch.inputs(), use_cache=False).logits
            after = model(**batch.inputs(), use_cache=False).logits
            kl = torch.cat([reply_kl(before[i, row.deciding], after[i, row.deciding]) for i, row in enumerate(some)])
            share = anchor.weight * kl.sum() / tokens
            self.accelerator.backward(share)
            held.append(share.detach())
        return held


def trainer_of(rows: Sequence[Row], arguments: dict[str, Any], anchor: Anchor | None, **common: Any) -> Any:
    """A trainer for supervised rows, or for preference rows by direct preference optimisation.

    Args:
        rows: what to train on, all of one kind.
        arguments: of TRL's configuration.
        anchor: for supervised rows and adapters alone.
        common: of either trainer: model, tokenizer, callbacks.
    """
    dataset = Dataset.from_list([dict(row) for row in rows])
    if "rejected" in rows[0]:
        return DPOTrainer(args=DPOConfig(**arguments), train_dataset=dataset, **common)
    arguments |= {"completion_only_loss": True}
    trainer = _Supervised(args=SFTConfig(**arguments), train_dataset=dataset, **common)
    trainer.anchor = anchor
    return trainer
