"""Whether the model can read all that a run has it read, told before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerBase

from pinpoint.data import Message, Messages, Said, assistant, beginning, encode_chat, user
from pinpoint.errors import InputError
from pinpoint.evaluate import evaluate_replies
from pinpoint.measure import Rules, anchor_rows
from pinpoint.models import context_of, load_tokenizer
from pinpoint.pipeline._explaining import given
from pinpoint.pipeline._inspect import read_config
from pinpoint.pipeline._template import rendering
from pinpoint.progress import Silent
from pinpoint.tune import check_rows

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_LEAVE_OUT = "Long questions can be left out: data.characters."


def demand_room(run: Run, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
    """Refuses dialogues that the model could not read whole, whatever it replied; nothing is loaded or written.

    Replies that are long may yet leave too little room: that is told where it comes to it.

    Args:
        run: the run that is to train on its dialogues and be evaluated on them.
        tokenizer: that renders as its settings say; loaded where it is not given.

    Raises:
        InputError: there is one; names it.
    """
    config = run.config
    code = config.revision, config.trust_remote_code
    try:
        limit = context_of(read_config(config.model, *code))
        tokenizer = tokenizer or rendering(load_tokenizer(config.model, *code), config)
    except InputError:
        return  # told where the model is loaded
    if limit is None:
        return
    rows = run.inputs.behaviour.rows(run.inputs.questions("train"), config.seed, given(run))
    leave_out = _LEAVE_OUT if config.contrast else ""
    check_rows(rows, tokenizer, limit, leave_out)
    sets = run.inputs.sets()
    anchor_rows(tokenizer, run.inputs.neutral, limit)
    silent = _Silence(tokenizer, limit, config.evaluate.max_new_tokens, leave_out)
    evaluate_replies(silent, sets, config.evaluate, run.inputs.behaviour, Silent(), "", _NoJudge())


class _Silence:
    """A replier that says nothing: dialogues are as short as they can be."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, limit: int, most: int, leave_out: str) -> None:
        self.tokenizer = tokenizer
        self._limit, self._most, self._leave_out = limit, most, leave_out

    def replies(self, dialogues: Sequence[Messages]) -> list[str]:
        return [said[0] for said in self.converse(dialogues, [()] * len(dialogues))]

    def converse(self, dialogues: Sequence[Messages], then: Sequence[Sequence[str]]) -> list[list[str]]:
        for messages, further in zip(dialogues, then, strict=True):
            self._measure([*messages, *(turn for text in further for turn in (assistant(""), user(text)))])
        return [[""] * (1 + len(further)) for further in then]

    def said(self, dialogue: Messages) -> Said | None:
        return None

    def is_cut(self, reply: str) -> bool:
        return False

    def _measure(self, messages: list[Message]) -> None:
        length = len(encode_chat(self.tokenizer, messages))
        if length + self._most > self._limit:
            raise InputError(
                f"its turns have {length} tokens before anything is replied, and with {self._most} of reply they are "
                f"more than the {self._limit} that the model reads.",
                where=f"the evaluation's dialogue on {beginning(messages)}",
                mend=f"Drop or shorten it, or lower evaluate.max_new_tokens. {self._leave_out}".rstrip(),
            )


class _NoJudge(Rules):
    """Has no verdict on what is left to another model."""

    def choose(self, prompts: Sequence[str], words: Sequence[str]) -> list[str | None]:
        return [None] * len(prompts)
