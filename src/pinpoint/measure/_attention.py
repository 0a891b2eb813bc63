"""What heads look at while the model starts its reply."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, EncodedPair, Message, encode_chat, encode_pair, pad
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.memory import told_when_out_of_memory
from pinpoint.models import HeadedModel


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


def _from_the_end(view: HeadedModel, ids: list[int]) -> dict[int, Float[Tensor, "head position"]]:
    """The weights of every head at the last position of one prompt, by layer, in float32 on the CPU.

    Prompts are run one by one: Falcon's weights are wrong where there is padding.

    Raises:
        InputError: the model does not hand them out.
    """
    batch = pad([ids], "left", view.device)
    found = view.backbone(**batch.inputs(), use_cache=False, output_attentions=True).attentions or ()
    layers = view.attention_layers if len(found) == len(view.attention_layers) else list(range(view.n_layers))
    known = dict(zip(layers, found, strict=False)) if len(found) == len(layers) else {}
    if any(known.get(layer) is None for layer in view.attention_layers):
        raise InputError(
            "the model hands out no attention weights.",
            where=type(view.model).__name__,
            mend="Load it with attn_implementation='eager'; some architectures have none to show.",
        )
    return {layer: known[layer][0, :, -1].float().cpu() for layer in view.attention_layers}


def _spans(pairs: Sequence[EncodedPair], given: Sequence[range] | None) -> Sequence[range]:
    return [differing(pair.reference, pair.counterfactual) for pair in pairs] if given is None else given


@torch.no_grad()
def attention_shares(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    heads: Sequence[Head],
    spans: Sequence[range] | None = None,
) -> Float[Tensor, "pair head"]:
    """Share of each head's attention, from the last position, on the tokens that matter.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        pairs: whose references are run.
        heads: which heads.
        spans: the tokens that matter in each; by default what sets it apart from its counterfactual.

    Raises:
        InputError: the model does not hand out attention weights.
        OutOfMemory: the weights of one reference do not fit the memory.
    """
    encoded, shares = [encode_pair(tokenizer, pair) for pair in pairs], []
    with _eager(view.model), told_when_out_of_memory("reading attention weights"):
        for pair, span in zip(encoded, _spans(encoded, spans), strict=True):
            weights = _from_the_end(view, pair.reference)
            apart = slice(span.start, span.stop)
            shares.append(torch.stack([weights[layer][head, apart].sum() for layer, head in heads]))
    return torch.stack(shares)


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
    spans: Sequence[range] | None = None,
) -> Looks:
    """What every head looks at: on average over pairs, and token by token on the reference of the first.

    Args:
        view: the model.
        tokenizer: its tokenizer.
        pairs: whose references are run.
        spans: the tokens that matter in each; by default what sets it apart from its counterfactual.

    Raises:
        InputError: the model does not hand out attention weights.
        OutOfMemory: the weights of one reference do not fit the memory.
    """
    encoded = [encode_pair(tokenizer, pair) for pair in pairs]
    chosen = _spans(encoded, spans)
    each = []
    with _eager(view.model), told_when_out_of_memory("reading attention weights"):
        for pair in encoded:
            found = torch.full((view.n_layers, view.n_heads, len(pair.reference)), float("nan"))
            for layer, weights in _from_the_end(view, pair.reference).items():
                found[layer] = weights
            each.append(found)
    shares = [found[..., span.start : span.stop].sum(dim=-1) for found, span in zip(each, chosen, strict=True)]
    return Looks(torch.stack(shares).mean(dim=0), each[0].nan_to_num(nan=0.0), encoded[0].reference, chosen[0])
