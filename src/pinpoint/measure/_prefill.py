"""Reading prompts ahead of generation, so that few tokens are read twice and little padding is read at all."""

from collections.abc import Sequence
from os.path import commonprefix

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from pinpoint.data import pad
from pinpoint.interventions import offloading
from pinpoint.measure._encoded import Encoded, layers_of, own_cache, resumed
from pinpoint.measure._under import under
from pinpoint.models import headed

_WORTH = 16  # tokens that all prompts begin with, from which a pass for them alone is worth it
_PASS = 256  # tokens of padding that a further pass has to save


@torch.no_grad()
def encoded_alike(model: PreTrainedModel, prompts: Sequence[tuple[int, ...]]) -> list[Encoded]:
    """What all prompts of a batch begin with, such as examples or a system message, encoded once for all of them.

    Args:
        model: one that `can_go_on`.
        prompts: token ids.

    Returns:
        One for each prompt, for `prefilled`; none where they have little in common.
    """
    shared = tuple(commonprefix([prompt[:-1] for prompt in prompts]))
    if len(prompts) < 2 or len(shared) < _WORTH or _fetched(model):
        return []
    layers = [(keys[0], values[0]) for keys, values in _read(model, [shared], [Encoded((), [])])]
    return [Encoded(shared, list(layers)) for _ in prompts]


@torch.no_grad()
def prefilled(model: PreTrainedModel, prompts: Sequence[tuple[int, ...]], encoded: Sequence[Encoded]) -> DynamicCache:
    """A cache from which a left-padded batch of prompts goes on.

    Where the batch would be much padding, prompts of similar length are read together, all but their last tokens.

    Args:
        model: one that `can_go_on`.
        prompts: token ids.
        encoded: what is encoded of each prompt, used up by this; empty for nothing.
    """
    encoded = list(encoded) or [Encoded((), []) for _ in prompts]
    passes = passes_over([len(prompt) - one.alike(prompt) for prompt, one in zip(prompts, encoded, strict=True)])
    if len(passes) == 1 or min(map(len, prompts)) == 1 or _fetched(model):
        return resumed(encoded, prompts)
    width = max(map(len, prompts)) - 1
    read = [_read(model, [prompts[row][:-1] for row in rows], [encoded[row] for row in rows]) for rows in passes]
    cache, nothing = own_cache(), torch.empty(0)
    for index in range(len(read[0])):
        keys, values = (_together([layers[index][which] for layers in read], passes, width) for which in (0, 1))
        cache.update(keys, values, index)
        for layers in read:
            layers[index] = nothing, nothing  # as the new cache grows, the old ones go
    return cache


def passes_over(lengths: Sequence[int]) -> list[list[int]]:
    """Which rows to read together: so that the fewest tokens are read, with their padding and `_PASS` for each pass."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    ends = [0, *(i for i in range(1, len(order)) if lengths[order[i]] > lengths[order[i - 1]]), len(order)]
    cost, begin = {0: 0}, {}
    for place, end in enumerate(ends[1:], 1):
        tokens = {start: cost[start] + (end - start) * lengths[order[end - 1]] for start in ends[:place]}
        begin[end] = min(tokens, key=tokens.__getitem__)
        cost[end] = tokens[begin[end]] + _PASS
    passes, end = [], len(order)
    while end:
        passes.append(order[begin[end] : end])
        end = begin[end]
    return passes[::-1]


def _fetched(model: PreTrainedModel) -> bool:
    """Whether a further pass would fetch blocks once more, which costs more than it saves."""
    return any(map(offloading, headed(under(model)).layers))


def _read(
    model: PreTrainedModel, prompts: Sequence[tuple[int, ...]], encoded: Sequence[Encoded]
) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, [row head column d], of a left-padded batch."""
    cache = resumed(encoded, prompts)
    batch = pad(prompts, "left", model.device)
    known = cache.get_seq_length()
    headed(under(model)).backbone(
        input_ids=batch.input_ids[:, known:],
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids[:, known:],
        past_key_values=cache,
        use_cache=True,
    )
    return layers_of(cache)


def _together(parts: Sequence[Tensor], passes: Sequence[Sequence[int]], width: int) -> Tensor:
    count = sum(map(len, passes))
    new = parts[0].new_zeros(count, parts[0].shape[1], width, parts[0].shape[3])  # [row head column d]
    for rows, part in zip(passes, parts, strict=True):
        new[rows, :, width - part.shape[2] :] = part
    return new
