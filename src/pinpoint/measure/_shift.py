"""How far a tuned model has moved from its base on dialogues that have nothing to do with the behaviour."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import Batch, Dialogue, Messages, encode_chat, pad
from pinpoint.errors import InputError
from pinpoint.interventions import backbone_once, captured_heads, only_at
from pinpoint.measure._deployment import PLAIN, Deployment
from pinpoint.measure._under import under
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel, context_of


class ReplyRow(NamedTuple):
    """Token ids of a prompt and its reply, the reply's end included, and where the reply starts."""

    ids: list[int]
    begin: int

    @property
    def deciding(self) -> slice:
        """The positions whose next token belongs to the reply."""
        return slice(self.begin - 1, len(self.ids) - 1)


class Kept:
    """What a base makes of batches before it unembeds, so that many models are held against it at the price of one.

    For one base, and for as long as its weights stay as they are.
    """

    def __init__(self) -> None:
        self._outputs: dict[tuple[tuple[tuple[int, ...], int], ...], list[Any]] = {}

    def reading(self, base: PreTrainedModel, rows: Sequence[ReplyRow]) -> AbstractContextManager[None]:
        """Runs the base's backbone on a batch once: where that is known, it is skipped in this block."""
        key = tuple((tuple(row.ids), row.begin) for row in rows)
        return backbone_once(base, self._outputs.setdefault(key, []))


def _encode(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> ReplyRow:
    prompt = encode_chat(tokenizer, messages[:-1])
    reply = tokenizer(messages[-1]["content"], add_special_tokens=False)["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return ReplyRow(prompt + reply + end, len(prompt))


def anchor_rows(
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[Dialogue],
    limit: int | None,
    deployment: Deployment = PLAIN,
) -> list[ReplyRow]:
    """Dialogues as token rows, to hold a model to its base on.

    Args:
        tokenizer: of the model.
        dialogues: neutral ones.
        limit: tokens that the model reads; None for no limit.
        deployment: what is put before each.

    Raises:
        InputError: a dialogue is longer than the model reads.
    """
    rows = [_encode(tokenizer, deployment.dress(dialogue.messages)) for dialogue in dialogues]
    for dialogue, row in zip(dialogues, rows, strict=True):
        if limit is not None and len(row.ids) > limit:
            raise InputError(
                f"it has {len(row.ids)} tokens, the model reads {limit}.",
                where=f"the neutral dialogue {dialogue.id!r}",
                mend="Drop or shorten it.",
            )
    return rows


def reply_kl(
    before: Float[Tensor, "token vocabulary"], after: Float[Tensor, "token vocabulary"]
) -> Float[Tensor, " token"]:
    """KL(before || after) of each next token, in nats, from logits; in float32 and not clamped."""
    p, q = torch.log_softmax(before.float(), dim=-1), torch.log_softmax(after.float(), dim=-1)
    return (p.exp() * (p - q)).sum(dim=-1)


@torch.no_grad()
def next_token_kl(
    base: PreTrainedModel,
    tuned: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dialogues: Sequence[Dialogue],
    batch_size: int | BatchSize,
    deployment: Deployment = PLAIN,
    kept: Kept | None = None,
) -> list[float]:
    """KL(base || tuned) of the next token, in nats, averaged over the tokens of each dialogue's last reply.

    The reply's tokens, its end included, are given (teacher forcing). What `deployment` puts before a dialogue, only
    the tuned model reads. Where other models are held against the same base, `kept` is shared by all.

    Returns:
        One mean per dialogue.

    Raises:
        InputError: a dialogue is longer than the model reads.
    """
    plain = anchor_rows(tokenizer, dialogues, context_of(base))
    served = anchor_rows(tokenizer, dialogues, context_of(base), deployment)
    return rows_kl(base, tuned, tokenizer, list(zip(plain, served, strict=True)), batch_size, deployment, kept=kept)


@torch.no_grad()
def rows_kl(
    base: PreTrainedModel,
    tuned: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[tuple[ReplyRow, ReplyRow]],
    batch_size: int | BatchSize,
    deployment: Deployment = PLAIN,
    weigh: Callable[[tuple[ReplyRow, ReplyRow]], int] = lambda row: 1,
    kept: Kept | None = None,
) -> list[float]:
    """KL(base || tuned) of the next token, in nats, averaged over the deciding positions of each row.

    Args:
        base: the model before.
        tuned: the model after, which may be an adapter on the base.
        tokenizer: that of both.
        rows: what the base reads, and what the tuned model does, with equal replies.
        batch_size: rows at once.
        deployment: what is done to the tuned model.
        weigh: how many rows a row counts for.
        kept: what is known of the base from earlier calls.

    Returns:
        One mean per row.
    """

    def measured(both: Sequence[tuple[ReplyRow, ReplyRow]]) -> list[float]:
        plain, dressed = zip(*both, strict=True)
        batch, reply = _padded(plain, base, tokenizer)
        with _bare(tuned, base), only_at(base, reply), (kept or Kept()).reading(base, plain):
            before = base(**batch.inputs(), use_cache=False).logits[0]
        batch, reply = _padded(dressed, base, tokenizer)
        with deployment.applied(tuned, reply), only_at(under(tuned), reply):
            after = tuned(**batch.inputs(), use_cache=False).logits[0]
        counts = [row.deciding.stop - row.deciding.start for row in plain]
        return [float(some.mean()) for some in reply_kl(before, after).split(counts)]

    # By length, for little padding; the longest first, so that what does not fit the memory is seen at once.
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i][1].ids))
    batches = BatchSize.of(batch_size).over([rows[i] for i in order], measured, weigh)
    found = dict(zip(order, (mean for _, means in batches for mean in means), strict=True))
    return [found[i] for i in range(len(rows))]


def _bare(tuned: Any, base: PreTrainedModel) -> AbstractContextManager[None]:
    """Switches an adapter off that is on the base itself."""
    if isinstance(tuned, PeftModel) and tuned.get_base_model() is base:
        off: AbstractContextManager[None] = tuned.disable_adapter()
        return off
    return nullcontext()


def _padded(
    rows: Sequence[ReplyRow], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[Batch, Bool[Tensor, "row position"]]:
    """A batch, and which of its positions decide on the replies."""
    batch = pad([row.ids for row in rows], "right", model.device, tokenizer.pad_token_id or 0)
    reply = torch.zeros_like(batch.input_ids, dtype=torch.bool)
    for i, row in enumerate(rows):
        reply[i, row.deciding] = True
    return batch, reply


@torch.no_grad()
def head_means(
    view: HeadedModel, tokenizer: PreTrainedTokenizerBase, dialogues: Sequence[Dialogue], batch_size: int | BatchSize
) -> torch.Tensor:
    """Mean output z of every head over all real positions of neutral dialogues.

    Args:
        view: the model, as `pinpoint.models.headed` shows it.
        tokenizer: its tokenizer.
        dialogues: the neutral dialogues.
        batch_size: dialogues in a pass.

    Returns:
        [layer head d_head], what a mean knockout puts in place of a head's output.

    Raises:
        InputError: a dialogue is longer than the model reads.

    Example:
        With `model` and `tokenizer` from the example of `load`:

        >>> from pinpoint.data import Dialogue, assistant, user
        >>> from pinpoint.measure import head_means
        >>> from pinpoint.models import headed
        >>> neutral = [Dialogue(id="snow", messages=(user("What colour is snow?"), assistant("It is white.")))]
        >>> list(head_means(headed(model), tokenizer, neutral, batch_size=1).shape)
        [8, 8, 32]
    """

    def summed(rows: Sequence[ReplyRow]) -> torch.Tensor:
        batch, _ = _padded(rows, view.model, tokenizer)
        real = batch.attention_mask.bool()
        with captured_heads(view) as z:
            view.backbone(**batch.inputs(), use_cache=False)
        found = torch.zeros(view.n_layers, view.n_heads * view.head_dim, dtype=torch.float64)
        for layer, values in z.items():
            found[layer] = values.view(*real.shape, -1)[real.to(values.device)].double().sum(dim=0).cpu()
        return found

    read = anchor_rows(tokenizer, dialogues, context_of(view.model))
    total = torch.zeros(view.n_layers, view.n_heads * view.head_dim, dtype=torch.float64)
    count = 0
    for rows, found in BatchSize.of(batch_size).over(read, summed):
        total += found
        count += sum(len(row.ids) for row in rows)
    return (total / count).float().view(view.n_layers, view.n_heads, view.head_dim)
