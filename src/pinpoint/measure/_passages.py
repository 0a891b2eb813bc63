"""How far a tuned model has moved from its base on plain text, and on what the base would say next."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import Dialogue, Excerpt, encode_chat
from pinpoint.errors import InputError
from pinpoint.measure._greedy import greedy_tokens
from pinpoint.measure._shift import ReplyRow, rows_kl
from pinpoint.memory import BatchSize
from pinpoint.models import context_of

SHIFTS: Mapping[str, str] = {
    "kl_passages": "KL to the base, passages (nats)",
    "kl_greedy": "KL to the base, greedy replies (nats)",
    "kl_passages_greedy": "KL to the base, passages continued (nats)",
}
"""Labels of the divergences that are measured where the settings ask for them."""

_WEIGHED = 64  # tokens that count as much as a dialogue does towards a batch


class Shift(NamedTuple):
    """A mean divergence in nats for each item, by the items' ids."""

    ids: list[str]
    kl: list[float]


def passage_rows(tokenizer: PreTrainedTokenizerBase, passages: Sequence[Excerpt], most: int) -> list[ReplyRow]:
    """Passages as token rows of which all but the first token count, cut after `most` tokens.

    They are encoded as the tokenizer does by itself, with its begin of text where it has one; no chat template.

    Raises:
        InputError: a passage has one token alone.
    """
    rows = []
    for passage in passages:
        ids = tokenizer(passage.text)["input_ids"][:most]
        if len(ids) < 2:
            raise InputError("nothing comes after its first token.", where=passage.id, mend="Take the passage out.")
        rows.append(ReplyRow(ids, 1))
    return rows


def prompt_rows(tokenizer: PreTrainedTokenizerBase, dialogues: Sequence[Dialogue]) -> list[list[int]]:
    """Token ids of dialogues up to their last reply."""
    return [encode_chat(tokenizer, list(dialogue.messages[:-1])) for dialogue in dialogues]


def continued(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    batch_size: int | BatchSize,
) -> list[ReplyRow]:
    """Prompts with what a model says next, greedily: `tokens` tokens, or fewer where it comes to its end.

    Raises:
        InputError: a prompt and its continuation exceed what the model reads.
    """
    _check_length(model, max(map(len, prompts), default=0) + tokens)
    at_once = BatchSize.of(batch_size)
    new = greedy_tokens(model, tokenizer, prompts, tokens, at_once, end=True, weigh=_weight)
    return [ReplyRow([*prompt, *said], len(prompt)) for prompt, said in zip(prompts, new, strict=True)]


def shift_on(
    base: PreTrainedModel,
    tuned: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[ReplyRow],
    batch_size: int | BatchSize,
) -> list[float]:
    """KL(base || tuned) of the next token, in nats, averaged over the tokens of each row that count.

    The tokens are given (teacher forcing). Plain text is read as it is: prompts and steering that a model may be
    deployed with are no part of this.
    """
    _check_length(base, max((len(row.ids) for row in rows), default=0))
    both = [(row, row) for row in rows]
    return rows_kl(base, tuned, tokenizer, both, batch_size, weigh=lambda pair: _weight(pair[0].ids))


def _check_length(model: PreTrainedModel, longest: int) -> None:
    limit = context_of(model)
    if limit is not None and longest > limit:
        raise InputError(
            f"the longest text comes to {longest} tokens, the model reads {limit}.",
            where="evaluate.passage_tokens, evaluate.greedy_tokens",
            mend="Lower them.",
        )


def _weight(ids: Sequence[int]) -> int:
    return -(-len(ids) // _WEIGHED)
