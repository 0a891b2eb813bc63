"""What heads look at while the model starts its reply."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import Batch, ContrastPair, EncodedPair, Message, encode_chat, encode_pair, pad
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel

# Weights of all layers are held at once: as many numbers at the most, whatever the batch size.
_WEIGHTS_AT_ONCE = 2**28


class Looks(NamedTuple):
    """What every head looks at from the last position.

    Attributes:
        shares: mean over pairs of the share of attention on the tokens that matter; NaN in layers without heads.
        weights: the attention on each token of one reference.
        ids: its tokens.
        apart: those of them that matter.
    """

    shares: Float[Tensor, "layer head"]
    weights: Float[Tensor, "layer head position"]
    ids: list[int]
    apart: range


@contextmanager
def _eager(model: PreTrainedModel) -> Iterator[None]:
    """Attention weights exist in the eager implementation alone."""
    own = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(own)


def differing(reference: Sequence[int], counterfactual: Sequence[int]) -> range:
    """Positions of the reference between what both prompts begin with and what both end with."""
    shortest = min(len(reference), len(counterfactual))
    begin = next((i for i in range(shortest) if reference[i] != counterfactual[i]), shortest)
    end = next((i for i in range(shortest - begin) if reference[-1 - i] != counterfactual[-1 - i]), shortest - begin)
    return range(begin, len(reference) - end)


def _from_the_end(view: HeadedModel, batch: Batch) -> dict[int, Float[Tensor, "row head position"]]:
    """The weights of every head at the last position, by layer, in float32 on the CPU.

    Raises:
        InputError: the model does not hand them out.
    """
    found = view.backbone(**batch.inputs(), use_cache=False, output_attentions=True).attentions or ()
    layers = view.attention_layers if len(found) == len(view.attention_layers) else range(view.n_layers)
    if len(found) != len(layers) or any(found[i] is None for i in range(len(found))):
        raise InputError("the model hands out no attention weights.")
    return {layer: weights[:, :, -1].float().cpu() for layer, weights in zip(layers, found, strict=True)}


@torch.no_grad()
def attention_shares(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    heads: Sequence[Head],
    batch_size: int | BatchSize,
    spans: Sequence[range] | None = None,
) -> Float[Tensor, "pair head"]:
    """Share of each head's attention, from the last position, on some tokens of the reference.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        pairs: whose references are run.
        heads: which heads.
        batch_size: references in a pass.
        spans: positions in each reference; by default what sets it apart from its counterfactual: what both prompts
            begin and end with is left out.

    Raises:
        InputError: the model does not hand out attention weights.
    """

    def shares(some: Sequence[tuple[EncodedPair, range]]) -> Tensor:
        batch = pad([pair.reference for pair, _ in some], "left", view.device)
        weights = _from_the_end(view, batch)
        apart = torch.zeros(batch.input_ids.shape)
        for i, (pair, span) in enumerate(some):
            offset = apart.shape[1] - len(pair.reference)
            apart[i, offset + span.start : offset + span.stop] = 1
        found = [(weights[head.layer][:, head.head] * apart).sum(dim=-1) for head in heads]
        return torch.stack(found, dim=1)

    encoded = [encode_pair(tokenizer, pair) for pair in pairs]
    chosen = [differing(pair.reference, pair.counterfactual) for pair in encoded] if spans is None else spans
    rows = list(zip(encoded, chosen, strict=True))
    with _eager(view.model):
        return torch.cat([found for _, found in BatchSize.of(batch_size).over(rows, shares)])


def last_turn(tokenizer: PreTrainedTokenizerBase, pair: ContrastPair) -> range:
    """Positions of the last message of a reference that is a dialogue."""
    messages: list[Message] = list(pair.reference)  # type: ignore[arg-type]
    other = [*messages[:-1], messages[-1] | {"content": "#"}]
    return differing(encode_chat(tokenizer, messages), encode_chat(tokenizer, other))


@torch.no_grad()
def looks(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    batch_size: int,
    spans: Sequence[range] | None = None,
) -> Looks:
    """What every head looks at: on average over pairs, and token by token on the reference of the first.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        pairs: whose references are run.
        batch_size: references in a pass, at the most.
        spans: the tokens that matter, as in `attention_shares`.

    Raises:
        InputError: the model does not hand out attention weights.
    """
    encoded = [encode_pair(tokenizer, pair) for pair in pairs]
    first, longest = encoded[0], max(len(pair.reference) for pair in encoded)
    apart = differing(first.reference, first.counterfactual) if spans is None else spans[0]
    fitting = max(1, _WEIGHTS_AT_ONCE // (len(view.attention_layers) * view.n_heads * longest**2))
    heads = list(view.heads())
    found = attention_shares(view, tokenizer, pairs, heads, BatchSize(min(batch_size, fitting)), spans).mean(dim=0)
    with _eager(view.model):
        weights = _from_the_end(view, pad([first.reference], "left", view.device))
    shares = torch.full((view.n_layers, view.n_heads), float("nan"))
    each = torch.zeros(view.n_layers, view.n_heads, len(first.reference))
    for place, (layer, head) in enumerate(heads):
        shares[layer, head] = found[place]
        each[layer, head] = weights[layer][0, head]
    return Looks(shares, each, first.reference, apart)
