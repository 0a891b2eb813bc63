"""Prompts with what is teacher-forced after them, and where on them a metric is measured.

With attention frozen, what is patched at a position moves the prediction made there and no other. So a head is patched
wherever a token of a continuation is predicted: at the prompt's last position and at every token of the continuation
but its last. Patching it elsewhere as well would change nothing; patching the prompt's last position alone would leave
the probabilities of all tokens but the first as they are.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.data import EncodedPair
from pinpoint.errors import InputError
from pinpoint.models import context_of, counts_padding_from, other_positions_beyond


class Forced(NamedTuple):
    """Both prompts of a pair, each followed by the same tokens: those of a continuation but its last.

    Attributes:
        reference: token ids.
        counterfactual: token ids.
        shared: tokens that the prompts begin with alike; none of them is measured.
        measured: positions at the end of either that are measured, one for each token of the continuation.
    """

    reference: list[int]
    counterfactual: list[int]
    shared: int
    measured: int


def forced(pairs: Sequence[EncodedPair]) -> list[Forced]:
    """What is run for each pair: one for each of its continuations, or the prompts alone, measured at their ends."""
    found = []
    for pair, shared in zip(pairs, shared_lengths(pairs), strict=True):
        for continuation in pair.continuations or ([0],):
            given = continuation[:-1]
            found.append(Forced(pair.reference + given, pair.counterfactual + given, shared, len(continuation)))
    return found


def shared_lengths(pairs: Sequence[EncodedPair]) -> list[int]:
    """Tokens that the prompts of each pair begin with alike; the last of either is never one of them."""
    lengths = []
    for pair in pairs:
        most = min(len(pair.reference), len(pair.counterfactual)) - 1
        both = zip(pair.reference[:most], pair.counterfactual[:most], strict=True)
        lengths.append(next((i for i, (a, b) in enumerate(both) if a != b), most))
    return lengths


class Sites(NamedTuple):
    """Measured positions of a batch, row by row.

    Attributes:
        rows: [site] the row of the batch that each lies in.
        places: [site] the position in that row.
        height: rows of the batch.
    """

    rows: Tensor
    places: Tensor
    height: int

    def at(self, x: Tensor) -> Tensor:
        """What lies there in x, [row position width], which some modules put out as [row*position width]."""
        by_row = x.unflatten(0, (self.height, -1)) if x.dim() == 2 else x
        return by_row[self.rows.to(x.device), self.places.to(x.device)]


def sites(last: Tensor, runs: Sequence[Forced]) -> Sites:
    """The measured positions, given the last position of each row.

    Rows are the references of `runs`, or their counterfactuals; or the references and then the counterfactuals.
    """
    measured = torch.tensor([run.measured for run in runs] * (len(last) // len(runs)))
    rows = torch.arange(len(measured)).repeat_interleave(measured)
    back = torch.cat([torch.arange(count - 1, -1, -1) for count in measured.tolist()])
    rows, back = rows.to(last.device), back.to(last.device)
    return Sites(rows, last[rows] - back, len(last))


def site_counts(pairs: Sequence[EncodedPair]) -> list[int]:
    """Measured positions of each pair."""
    return [sum(map(len, pair.continuations)) or 1 for pair in pairs]


def check_prompts(model: PreTrainedModel, pairs: Sequence[EncodedPair]) -> None:
    """Refuses prompts that the model cannot read whole, or not side by side.

    Raises:
        InputError: names the pair.
    """
    runs = [forced([pair]) for pair in pairs]
    longest = [max(max(len(run.reference), len(run.counterfactual)) for run in some) for some in runs]
    limit, known = context_of(model), getattr(model.get_input_embeddings(), "num_embeddings", None)
    for number, (pair, length) in enumerate(zip(pairs, longest, strict=True)):
        if limit is not None and length > limit:
            what = "a prompt with its continuation" if pair.continuations else "a prompt"
            raise InputError(
                f"{what} has {length} tokens, the model reads {limit}.",
                where=f"pair {number}",
                mend="Drop or shorten it: cutting it would lose the challenge.",
            )
        bad = None if known is None else next((token for token in _tokens(pair) if not 0 <= token < known), None)
        if bad is not None:
            raise InputError(
                f"token {bad} is none of the model's {known}.",
                where=f"pair {number}",
                mend="Give the tokenizer that belongs to the model, or make its embeddings as many as the tokens.",
            )
    _check_together(model, runs, longest)


def _tokens(pair: EncodedPair) -> list[int]:
    answers = chain(*pair.continuations) if pair.continuations else (*pair.unwanted, *pair.wanted)
    return [*pair.reference, *pair.counterfactual, *answers]


def _check_together(model: PreTrainedModel, runs: Sequence[Sequence[Forced]], longest: Sequence[int]) -> None:
    """Refuses what a model reads otherwise in one pass than each prompt alone."""
    prompts = {len(side) for some in runs for run in some for side in (run.reference, run.counterfactual)}
    beyond, padded = other_positions_beyond(model.config), counts_padding_from(model.config)
    if beyond is not None and min(prompts, default=0) <= beyond < max(prompts, default=0):
        raise InputError(
            f"prompts have {min(prompts)} to {max(prompts)} tokens: beyond {beyond}, this model has other position "
            "embeddings for all prompts of a pass.",
            where=f"pair {longest.index(max(longest))}",
            mend="Locate on pairs of one side of that length.",
        )
    if padded is not None and len(prompts) > 1 and max(prompts) >= padded:
        raise InputError(
            f"prompts have {min(prompts)} to {max(prompts)} tokens: from {padded} on, this model's attention counts "
            "padding.",
            where=f"pair {longest.index(max(longest))}",
            mend="Use shorter prompts, or such as are equally long.",
        )
