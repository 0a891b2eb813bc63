"""What a model says after prompts given as tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import pad
from pinpoint.measure._chat import greedy_config
from pinpoint.memory import BatchSize


@torch.no_grad()
def greedy_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    count: int,
    at_once: BatchSize,
    *,
    end: bool,
    weigh: Callable[[Sequence[int]], int] = lambda prompt: 1,
) -> list[list[int]]:
    """What a model says next after each prompt, greedily: `count` tokens, or fewer where it comes to its end.

    Args:
        model: what speaks.
        tokenizer: its tokenizer.
        prompts: token ids.
        count: tokens at the most.
        at_once: prompts in a batch.
        end: whether the token that ends a reply belongs to it.
        weigh: how many prompts a prompt counts for.

    Raises:
        OutOfMemory: one prompt does not fit the memory.
    """
    greedy = greedy_config(model, tokenizer, count)
    own = greedy.eos_token_id
    ends = {own} if isinstance(own, int) else set(own or ())

    def said(some: Sequence[Sequence[int]]) -> list[list[int]]:
        batch = pad(some, "left", model.device, greedy.pad_token_id)
        generate: Any = model.generate
        output = generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask, generation_config=greedy)
        replies = []
        for new in output[:, batch.input_ids.shape[1] :].tolist():
            stop = next((i for i, token in enumerate(new) if token in ends), len(new))
            replies.append(new[: stop + end])
        return replies

    return [reply for _, replies in at_once.over(prompts, said, weigh) for reply in replies]
