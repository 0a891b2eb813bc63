"""How far an exported model agrees with the adapter that was trained, live on its base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from peft import PeftModel
from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedModel

from pinpoint.behaviours import Played, Record
from pinpoint.data import Messages, draw, encode_chat, pad
from pinpoint.measure import Chat
from pinpoint.memory import BatchSize
from pinpoint.models import Loaded

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_QUESTIONS = 48
_BATCH = 8


class Agreement(BaseModel):
    """An exported model beside base and live adapter, on validation questions of the run.

    Attributes:
        positions: tokens of whole dialogues at which next-token logits were compared.
        max_difference: largest absolute difference of a logit.
        relative: the same, relative to the largest logit.
        same_top: share of positions at which both predict the same token.
        verdicts: judgements compared, all that evaluation makes of a reply.
        same_verdicts: share of them that are equal.
        questions: the questions asked.
    """

    model_config = ConfigDict(frozen=True)

    positions: int
    max_difference: float
    relative: float
    same_top: float
    verdicts: int
    same_verdicts: float
    questions: int


def agreement(run: Run, live: PeftModel, exported: Loaded) -> Agreement:
    """Holds the exported model, with its own tokenizer, to the live adapter.

    Both reply to the same items as in evaluation, greedily; logits are compared over what the live adapter replied to.
    """
    config, behaviour = run.config.evaluate, run.inputs.behaviour
    questions = draw(run.inputs.questions("validation"), _QUESTIONS, run.config.seed)
    played: list[list[Record]] = []
    first: Played | None = None  # what both are held to where a protocol goes on from the base's answers
    # A PeftModel generates as the model it wraps.
    for model, tokenizer in ((cast(PreTrainedModel, live), run.tokenizer), exported):
        chat = Chat(model, tokenizer, BatchSize(config.batch_size, "evaluate.batch_size"), config.max_new_tokens)
        parts = behaviour.play(chat, questions, first, lambda: None)
        first = first or parts
        played.append([record for part in behaviour.parts for record in parts[part]])
    equal = [same for ours, theirs in zip(*played, strict=True) for same in _verdicts_alike(ours, theirs)]
    dialogues = [record.prompt for record in played[0][: len(questions)]]
    logits = _Logits()
    for start in range(0, len(dialogues), _BATCH):
        _compare(run, live, exported, dialogues[start : start + _BATCH], logits)
    return Agreement(
        positions=logits.positions,
        max_difference=logits.difference,
        relative=logits.difference / logits.largest,
        same_top=logits.same / logits.positions,
        verdicts=len(equal),
        same_verdicts=sum(equal) / len(equal),
        questions=len(questions),
    )


def _verdicts_alike(ours: Record, theirs: Record) -> list[bool]:
    others = theirs.row()
    return [value == others[name] for name, value in ours.row().items() if isinstance(value, bool)]


class _Logits:
    """What was found so far."""

    def __init__(self) -> None:
        self.positions = self.same = 0
        self.difference = self.largest = 0.0


@torch.no_grad()
def _compare(run: Run, live: PeftModel, exported: Loaded, dialogues: Sequence[Messages], found: _Logits) -> None:
    def logits(model: PeftModel | PreTrainedModel, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        batch = pad(rows, "right", model.device)
        out: torch.Tensor = model(**batch.inputs(), use_cache=False).logits
        return out.float(), batch.attention_mask.bool()

    # Each with its own tokenizer: a template that got lost on the way would show.
    ours, real = logits(live, [encode_chat(run.tokenizer, dialogue) for dialogue in dialogues])
    theirs, others = logits(exported.model, [encode_chat(exported.tokenizer, dialogue) for dialogue in dialogues])
    if not torch.equal(real, others):
        found.positions, found.difference, found.largest = found.positions + int(real.sum()), float("inf"), 1.0
        return
    ours, theirs = ours[real], theirs[real].to(ours.device)
    found.positions += len(ours)
    found.same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
    # A NaN must not pass for the smaller number.
    found.difference = max(found.difference, float((ours - theirs).abs().max().nan_to_num(nan=float("inf"))))
    found.largest = max(found.largest, float(ours.abs().max()))
