"""Running both prompts of every pair with their common beginning computed once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pinpoint.data import Batch, EncodedPair, pad
from pinpoint.models import HeadedModel


class Prompts(NamedTuple):
    """Both prompts of every pair, ready to run; only what runs here passes the hooks.

    Attributes:
        run: runs the backbone; all references first, then all counterfactuals in the same order.
        last: [2*pair] the measured position of each prompt, counted in what `run` runs.
    """

    run: Callable[[], object]
    last: Tensor


def shared_lengths(pairs: Sequence[EncodedPair]) -> list[int]:
    """Tokens that the prompts of each pair begin with alike; the last of either is never one of them."""
    lengths = []
    for pair in pairs:
        most = min(len(pair.reference), len(pair.counterfactual)) - 1
        both = zip(pair.reference[:most], pair.counterfactual[:most], strict=True)
        lengths.append(next((i for i, (a, b) in enumerate(both) if a != b), most))
    return lengths


def whole(view: HeadedModel, batch: Batch) -> Prompts:
    """Runs the prompts as they are."""
    return Prompts(lambda: view.backbone(**batch.inputs(), use_cache=False), batch.last)


def sharing(view: HeadedModel, pairs: Sequence[EncodedPair], lengths: Sequence[int], pad_id: int = 0) -> Prompts:
    """Runs the common beginnings at once, and has `run` run what comes after them.

    Beginnings are padded on the left and what follows on the right, so that within a prompt no padding lies
    between tokens: windows and biases that count positions in the batch come out right.

    Args:
        view: the model.
        pairs: the pairs.
        lengths: tokens that each pair begins with alike, at least 1.
        pad_id: the token to pad with.
    """
    begin = pad(
        [pair.reference[:length] for pair, length in zip(pairs, lengths, strict=True)], "left", view.device, pad_id
    )
    cache = view.backbone(**begin.inputs(), use_cache=True).past_key_values
    twice = torch.arange(len(pairs), device=view.device).repeat(2)  # references, then counterfactuals
    cache.batch_select_indices(twice)
    both = [(pair.reference, n) for pair, n in zip(pairs, lengths, strict=True)]
    both += [(pair.counterfactual, n) for pair, n in zip(pairs, lengths, strict=True)]
    rest = pad([prompt[n:] for prompt, n in both], "right", view.device, pad_id)
    inputs = rest.inputs() | {
        "attention_mask": torch.cat((begin.attention_mask[twice], rest.attention_mask), dim=1),
        "position_ids": rest.position_ids + torch.tensor([n for _, n in both], device=view.device)[:, None],
    }
    return Prompts(lambda: view.backbone(**inputs, past_key_values=cache, use_cache=True), rest.last)
