"""Greedy replies to many dialogues at once."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Journal
from pinpoint.data import Messages, encode_chat, pad
from pinpoint.errors import InputError
from pinpoint.measure._deployment import PLAIN, Deployment
from pinpoint.memory import BatchSize


def greedy_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int) -> GenerationConfig:
    """The most likely token each time, whatever the model's own settings say, up to its own end."""
    own, pad_id = model.generation_config, tokenizer.pad_token_id
    return GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=own.eos_token_id if own is not None else tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id if pad_id is None else pad_id,
    )


@dataclass(frozen=True)
class Chat:
    """A model that answers dialogues greedily, in batches of similar length.

    Attributes:
        model: a chat model.
        tokenizer: its tokenizer.
        batch_size: dialogues per batch; halved where memory runs out.
        max_new_tokens: a reply is cut after as many tokens.
        deployment: what is done to the model while it answers.
        journal: where answered batches are kept, for a later process to go on from.

    Replies are remembered: make a new one when the model changes or is intervened on.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_size: int | BatchSize = 64
    max_new_tokens: int = 48
    deployment: Deployment = PLAIN
    journal: Journal | None = None
    _answered: dict[tuple[int, ...], str] = field(default_factory=dict, repr=False)

    @cached_property
    def _at_once(self) -> BatchSize:
        return BatchSize.of(self.batch_size)

    @torch.no_grad()
    def replies(self, dialogues: Sequence[Messages]) -> list[str]:
        """The reply to each dialogue, in order; equal dialogues are answered once.

        Raises:
            InputError: a dialogue and its reply would not fit the model's context.
            OutOfMemory: one dialogue does not fit the memory.
        """
        prompts = [tuple(encode_chat(self.tokenizer, self.deployment.dress(talk))) for talk in dialogues]
        self._check_room(prompts)
        new = sorted(set(prompts) - self._answered.keys(), key=lambda prompt: (len(prompt), prompt))
        for batch, answers in self._at_once.over(new, self._answers):
            self._answered.update(zip(batch, answers, strict=True))
        return [self._answered[prompt] for prompt in prompts]

    def _answers(self, batch: Sequence[tuple[int, ...]]) -> list[str]:
        if self.journal is None:
            return self._generate(batch)
        key = hashlib.sha256(json.dumps([batch, self.max_new_tokens]).encode()).hexdigest()
        known: list[str] | None = self.journal.get(key)
        if known is None:
            known = self._generate(batch)
            self.journal.put(key, known)
        return known

    def _check_room(self, prompts: Sequence[tuple[int, ...]]) -> None:
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        longest = max((len(prompt) for prompt in prompts), default=0)
        if limit is not None and longest + self.max_new_tokens > limit:
            raise InputError(
                f"a dialogue of {longest} tokens and {self.max_new_tokens} of reply exceed the model's {limit}.",
                mend="Drop long questions or lower evaluate.max_new_tokens.",
            )

    def _generate(self, prompts: Sequence[tuple[int, ...]]) -> list[str]:
        greedy = greedy_config(self.model, self.tokenizer, self.max_new_tokens)
        batch = pad(prompts, "left", self.model.device, greedy.pad_token_id)
        generate: Any = self.model.generate
        with self.deployment.applied(self.model):
            output = generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask, generation_config=greedy)
        texts = self.tokenizer.batch_decode(output[:, batch.input_ids.shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]
