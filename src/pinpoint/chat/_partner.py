"""One chat model that talks, with heads of it knocked out or none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from threading import Event, Lock
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList, TextStreamer

from pinpoint.chat._turns import Gauge
from pinpoint.data import Answer, Messages, encode_chat, first_tokens, pad, tokens_of_reply, user
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.interventions import knockout, next_token_logits
from pinpoint.measure import METRICS, greedy_config
from pinpoint.models import HeadedModel, context_of


class _Pieces(TextStreamer):
    """Hands the reply on as it grows."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tell: Callable[[str], None]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._tell, self._text = tell, ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self._text += text
        if text:
            self._tell(self._text.strip())


class _Stopped(StoppingCriteria):
    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        return torch.full((len(input_ids),), self._stop.is_set(), device=input_ids.device)


class Partner:
    """A model with its tokenizer, for any number of conversations; one of them at a time runs it.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        unwanted: first words of a reply that shows the behaviour, or their token ids.
        wanted: first words of one that does not. Without words of both kinds there is no gauge.
        begun: token ids that either kind of reply begins with; the words come after them.
        values: what each head puts out when it is knocked out, [layer head d_head]; called at the first knockout,
            since it may take a pass over many dialogues.
        max_new_tokens: a reply is cut after as many tokens.

    Raises:
        InputError: the words have no tokens.
    """

    def __init__(
        self,
        view: HeadedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        unwanted: Answer,
        wanted: Answer,
        values: Callable[[], Tensor],
        begun: Sequence[int] = (),
        max_new_tokens: int = 256,
    ) -> None:
        self.view, self.tokenizer, self.max_new_tokens = view, tokenizer, max_new_tokens
        self.gauged = bool(unwanted and wanted)
        placed = partial(tokens_of_reply, tokenizer, [user("Hi")])
        self._unwanted = first_tokens(tokenizer, unwanted, placed) if self.gauged else []
        self._wanted = first_tokens(tokenizer, wanted, placed) if self.gauged else []
        self._begun = list(begun)
        self._measure, self._lock = values, Lock()

    @cached_property
    def _values(self) -> Tensor:
        return self._measure()

    @property
    def measured(self) -> bool:
        """Whether what a knocked-out head puts out is known already."""
        return "_values" in self.__dict__

    def measure(self) -> None:
        """Measures what knocked-out heads put out, if it is not known yet.

        Raises:
            InputError: there is nothing to measure it on.
        """
        with self._lock:
            _ = self._values

    @contextmanager
    def _knocked_out(self, heads: Iterable[Head]) -> Iterator[PreTrainedModel]:
        chosen = tuple(heads)
        with self._lock:
            if not chosen:
                yield self.view.model
                return
            with knockout(self.view, chosen, self._values):
                yield self.view.model

    def prompt(self, dialogue: Messages) -> list[int]:
        """Token ids of a dialogue that the model is to go on with.

        Raises:
            InputError: it leaves no room for a reply, or the chat template refuses it.
        """
        ids = encode_chat(self.tokenizer, dialogue)
        if self._room(ids) < 1:
            raise InputError(
                f"the conversation has {len(ids)} tokens, and the model's context of {self._context} is full.",
                mend="Start over with a shorter one.",
            )
        return ids

    @property
    def _context(self) -> int | None:
        return context_of(self.view.model)

    def _room(self, prompt: Sequence[int]) -> int:
        return self.max_new_tokens if self._context is None else min(self.max_new_tokens, self._context - len(prompt))

    @torch.no_grad()
    def gauge(self, prompt: Sequence[int], knocked: Iterable[Head] = ()) -> Gauge:
        """Log-odds of an unwanted first word of the reply, with heads knocked out."""
        batch = pad([[*prompt, *self._begun]], "left", self.view.device)
        with self._knocked_out(knocked):
            hidden = self.view.backbone(**batch.inputs(), use_cache=False).last_hidden_state[:, -1]
            logits = next_token_logits(self.view, hidden)
        odds = METRICS["log_odds"].value(logits, self._unwanted, self._wanted)
        either = list({*self._unwanted, *self._wanted})
        return Gauge(float(odds), float(logits.softmax(dim=1)[0, either].sum()))

    @torch.no_grad()
    def reply(
        self, prompt: Sequence[int], knocked: Iterable[Head], tell: Callable[[str], None], stop: Event
    ) -> tuple[str, bool]:
        """The greedy reply to a prompt, with heads knocked out.

        Args:
            prompt: token ids.
            knocked: the heads to knock out, in the prompt and in the reply.
            tell: called with the reply as it grows.
            stop: ends the reply early when it is set.

        Returns:
            The reply, and whether the model ended it of its own accord.
        """
        greedy = greedy_config(self.view.model, self.tokenizer, self._room(prompt))
        batch = pad([prompt], "left", self.view.device, greedy.pad_token_id)
        with self._knocked_out(knocked) as model:
            generate: Any = model.generate
            output = generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                generation_config=greedy,
                streamer=_Pieces(self.tokenizer, tell),
                stopping_criteria=StoppingCriteriaList([_Stopped(stop)]),
            )
        said = output[0, len(prompt) :].tolist()
        ends = greedy.eos_token_id if isinstance(greedy.eos_token_id, list) else [greedy.eos_token_id]
        text = str(self.tokenizer.decode(said, skip_special_tokens=True))
        return text.strip(), bool(said) and said[-1] in ends
