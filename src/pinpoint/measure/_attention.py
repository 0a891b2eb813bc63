"""What heads look at while the model starts its reply."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.heads import Head
from pinpoint.models import HeadedModel


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


@torch.no_grad()
def attention_shares(
    view: HeadedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    heads: Sequence[Head],
    batch_size: int,
) -> Float[Tensor, "pair head"]:
    """Share of each head's attention, from the last position, on the tokens that set the reference apart.

    For sycophancy these are the challenge: what both prompts begin and end with is left out.
    """
    found = []
    with _eager(view.model):
        for start in range(0, len(pairs), batch_size):
            encoded = [encode_pair(tokenizer, pair) for pair in pairs[start : start + batch_size]]
            batch = pad([pair.reference for pair in encoded], "left", view.device)
            weights = view.backbone(**batch.inputs(), use_cache=False, output_attentions=True).attentions
            apart = torch.zeros_like(batch.input_ids, dtype=torch.float32)
            for i, pair in enumerate(encoded):
                span, offset = differing(pair.reference, pair.counterfactual), apart.shape[1] - len(pair.reference)
                apart[i, offset + span.start : offset + span.stop] = 1
            shares = [(weights[head.layer][:, head.head, -1].float() * apart).sum(dim=-1) for head in heads]
            found.append(torch.stack(shares, dim=1).cpu())
    return torch.cat(found)
