"""Greedy replies to many dialogues at once."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Journal
from pinpoint.data import (
    Message,
    Messages,
    Said,
    assistant,
    encode_chat,
    encode_to_reply,
    joined,
    opens_thought,
    pad,
    parted,
    user,
)
from pinpoint.errors import InputError
from pinpoint.measure._deployment import PLAIN, Deployment
from pinpoint.measure._encoded import Encoded, can_go_on, generate_on
from pinpoint.measure._prefill import encoded_alike, prefilled
from pinpoint.memory import BatchSize
from pinpoint.models import context_of

_TAG = 8  # the most tokens that a template's tag for the beginning of a thought has


def greedy_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int) -> GenerationConfig:
    """The most likely token each time, whatever the model's own settings say, up to its own end."""
    own, pad_id = model.generation_config, tokenizer.pad_token_id
    # What is not given here, generate() takes from the model's own settings: a penalty on repetition, or no cache.
    return GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        eos_token_id=own.eos_token_id if own is not None else tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id if pad_id is None else pad_id,
    )


class _Talk(NamedTuple):
    """A dialogue that is to be gone on with: its next prompt, itself, and what the user says after the reply."""

    prompt: tuple[int, ...]
    messages: tuple[Message, ...]
    then: tuple[str, ...]


class _Answered(NamedTuple):
    """A batch that was answered: its name in the journal, and whether that had it already."""

    key: str
    kept: bool


@dataclass(frozen=True)
class Chat:
    """A model that answers dialogues greedily, in batches of similar length.

    Attributes:
        model: a chat model.
        tokenizer: its tokenizer.
        batch_size: dialogues per batch to begin with; more where a GPU has room, half where memory runs out.
        max_new_tokens: a reply is cut after as many tokens.
        deployment: what is done to the model while it answers.
        journal: where answered batches are kept, for a later process to go on from.
        limit: the setting that `max_new_tokens` comes from, for messages; empty where none sets it.
        thinks: whether a model that thinks does so before it replies; else it goes on from an empty thought.

    Replies are remembered: make a new one when the model changes or is intervened on. What a model thinks before it
    replies is no part of the reply, nor of the dialogue that goes on from there.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_size: int | BatchSize = 64
    max_new_tokens: int = 48
    deployment: Deployment = PLAIN
    journal: Journal | None = None
    limit: str = "evaluate.max_new_tokens"
    thinks: bool = True
    _answered: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict, repr=False)
    _cut: set[str] = field(default_factory=set, repr=False)

    @cached_property
    def _at_once(self) -> BatchSize:
        return BatchSize.of(self.batch_size)

    def replies(self, dialogues: Sequence[Messages]) -> list[str]:
        """The reply to each dialogue, in order; equal dialogues are answered once.

        Raises:
            InputError: a dialogue and its reply would not fit the model's context.
            OutOfMemory: one dialogue does not fit the memory.
        """
        return [said[0] for said in self.converse(dialogues, [()] * len(dialogues))]

    @torch.no_grad()
    def converse(self, dialogues: Sequence[Messages], then: Sequence[Sequence[str]]) -> list[list[str]]:
        """Replies to each dialogue, and to all that the user says afterwards, turn by turn.

        What a model has encoded of a dialogue is kept for its next turn, as far as the chat template renders it alike;
        the replies are those to the dialogue as it stands at each turn.

        Args:
            dialogues: the openings, each ending with the user.
            then: what the user says after the first reply, after the second, and so on.

        Returns:
            For each dialogue, one reply more than `then` has messages for it.

        Raises:
            InputError: a dialogue and its reply would not fit the model's context.
        """
        both = list(zip(dialogues, then, strict=True))
        # Once is enough, but for equal openings that were answered in different batches, and not alike.
        while talks := self._open(both):
            for _ in self._at_once.over(talks, self._answer, remembered=self._next_size):
                pass
        return [self._said(messages, further)[0] for messages, further in both]

    def _open(self, both: Sequence[tuple[Messages, Sequence[str]]]) -> list[_Talk]:
        """What is left to answer, each once, by length."""
        found: dict[Any, _Talk] = {}
        for messages, further in both:
            talk = self._unanswered(messages, further)
            if talk is not None:
                found[talk.prompt, talk.then] = talk
        return [found[key] for key in sorted(found, key=lambda key: (len(key[0]), key))]

    def is_cut(self, reply: str) -> bool:
        """Whether a reply, with the thought before it, has as many tokens as it may have."""
        return reply in self._cut or self._is_long(reply)

    def _is_long(self, text: str) -> bool:
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) >= self.max_new_tokens

    def said(self, dialogue: Messages) -> Said | None:
        """The reply that was given to a dialogue, with the thought before it; None where none was."""
        known = self._answered.get(_key(dialogue))
        return None if known is None else parted(known)

    def _said(self, messages: Messages, then: Sequence[str]) -> tuple[list[str], list[Message]]:
        """The replies that are known, and the dialogue as it stands after them."""
        talk, replies = list(messages), []
        for further in (*then, None):
            known = self._answered.get(_key(talk))
            if known is None:
                break
            reply = parted(known).reply
            replies.append(reply)
            talk += [assistant(reply)] if further is None else [assistant(reply), user(further)]
        return replies, talk

    def _unanswered(self, messages: Messages, then: Sequence[str]) -> _Talk | None:
        replies, talk = self._said(messages, then)
        return None if len(replies) > len(then) else _Talk(self._prompt(talk), tuple(talk), tuple(then[len(replies) :]))

    def _answer(self, talks: Sequence[_Talk]) -> _Answered:
        """Plays a batch of dialogues to their ends, or takes what the journal has of it."""
        key = hashlib.sha256(json.dumps([[talk[::2] for talk in talks], self.max_new_tokens]).encode()).hexdigest()
        known: list[list[str]] | None = self.journal.get(key) if self.journal is not None else None
        answered = _Answered(key, known is not None)
        if known is None:
            known = self._play(talks)
            if self.journal is not None:
                self.journal.put(key, known)
        for talk, replies in zip(talks, known, strict=True):
            messages = list(talk.messages)
            for reply, further in zip(replies, (*talk.then, ""), strict=True):
                if self._answered.setdefault(_key(messages), reply) != reply:
                    break  # rounding, in another batch: the talk has to go on from the reply that was given first
                shown = parted(reply)
                if not shown.closed or (shown.thought and self._is_long(reply)):
                    self._cut.add(shown.reply)
                messages += [assistant(shown.reply), user(further)]
        return answered

    def _next_size(self, answered: _Answered, now: int, proposed: int) -> int:
        """The size of the batch after one that was answered: of one that was kept, as it was when it was played."""
        if self.journal is None:
            return proposed
        key = f"after {answered.key}"
        if answered.kept:
            return self.journal.get(key) or now
        if proposed != now:
            self.journal.put(key, proposed)
        return proposed

    def _play(self, talks: Sequence[_Talk]) -> list[list[str]]:
        replies: list[list[str]] = [[] for _ in talks]
        going, prompts = list(range(len(talks))), [talk.prompt for talk in talks]
        messages = [list(talk.messages) for talk in talks]
        encoded: list[Encoded] = []
        while going:
            keep = any(len(replies[i]) < len(talks[i].then) for i in going)
            said, encoded = self._generate(prompts, encoded, keep=keep)
            for i, reply in zip(going, said, strict=True):
                replies[i].append(reply)
            places = [place for place, i in enumerate(going) if len(replies[i]) <= len(talks[i].then)]
            encoded = [encoded[place] for place in places] if encoded else []
            going = [going[place] for place in places]
            for i in going:
                messages[i] += [assistant(parted(replies[i][-1]).reply), user(talks[i].then[len(replies[i]) - 1])]
            prompts = [self._prompt(messages[i]) for i in going]
        return replies

    def _prompt(self, messages: Messages) -> tuple[int, ...]:
        encode = encode_chat if self.thinks else encode_to_reply
        prompt = tuple(encode(self.tokenizer, self.deployment.dress(messages)))
        limit = context_of(self.model)
        if limit is not None and len(prompt) + self.max_new_tokens > limit:
            raise InputError(
                f"a dialogue of {len(prompt)} tokens and {self.max_new_tokens} of reply exceed the model's {limit}.",
                mend=f"Drop long questions{f' or lower {self.limit}' if self.limit else ''}.",
            )
        return prompt

    def _generate(
        self, prompts: Sequence[tuple[int, ...]], encoded: Sequence[Encoded], *, keep: bool
    ) -> tuple[list[str], list[Encoded]]:
        """Replies to a batch, on top of what is encoded of it, and what is encoded of it then, if that is kept."""
        greedy = greedy_config(self.model, self.tokenizer, self.max_new_tokens)
        if can_go_on(self.model):
            start = prefilled(self.model, prompts, encoded or encoded_alike(self.model, prompts))
            # Steering acts on the last position of a pass: a reply that is read again is not steered, nor kept so.
            keep = keep and self.deployment.steering is None
            with self.deployment.applied(self.model):
                generated = generate_on(self.model, greedy, prompts, start, keep=keep)
            said: Any = [one.tokens for one in generated]
            kept = [one.encoded for one in generated if one.encoded is not None]
        else:
            batch = pad(prompts, "left", self.model.device, greedy.pad_token_id)
            generate: Any = self.model.generate
            inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            with self.deployment.applied(self.model):
                said = generate(**inputs, generation_config=greedy)[:, batch.input_ids.shape[1] :]
            kept = []
        texts = self.tokenizer.batch_decode(said, skip_special_tokens=True)
        begun = [opens_thought(str(self.tokenizer.decode(list(prompt[-_TAG:])))) for prompt in prompts]
        return [
            joined(text.strip(), "", closed=False) if opened else text.strip()
            for text, opened in zip(texts, begun, strict=True)
        ], kept


def _key(messages: Messages) -> tuple[tuple[str, str], ...]:
    return tuple((message["role"], message["content"]) for message in messages)
