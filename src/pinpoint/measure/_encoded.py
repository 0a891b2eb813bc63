"""Greedy generation in batches that keeps what a model has encoded of a dialogue for its next turn."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, PreTrainedModel, StoppingCriteria

from pinpoint.data import pad
from pinpoint.models import headed, known_types

_ENOUGH = 1 / 4  # of a batch's replies: as many have ended when the others go on without them


class Encoded(NamedTuple):
    """What a model has encoded of a dialogue.

    Attributes:
        tokens: those that are encoded, in order.
        layers: keys and values of each layer, [head token d].
    """

    tokens: tuple[int, ...]
    layers: list[tuple[Tensor, Tensor]]

    def alike(self, prompt: Sequence[int]) -> int:
        """How many tokens of a prompt are encoded; the last is not counted, since its logits are needed."""
        both = zip(self.tokens, prompt[:-1], strict=False)
        return next((i for i, (a, b) in enumerate(both) if a != b), min(len(self.tokens), len(prompt) - 1))


class _Enough(StoppingCriteria):
    """Stops a batch in which so many replies have ended that the others go on sooner without them."""

    def __init__(self, ends: Iterable[int], device: torch.device) -> None:
        self._ends = torch.tensor(sorted(ends), dtype=torch.long, device=device)
        self._ended: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        last = torch.isin(input_ids[:, -1], self._ends)
        self._ended = last if self._ended is None else self._ended | last
        # Nothing is read back from a GPU: whether all are done, `generate` asks anyway.
        return (self._ended.sum() >= _ENOUGH * len(last)).expand(len(last))


class Generated(NamedTuple):
    """The tokens of a reply, its end included, and what is encoded of the dialogue with it if that is kept."""

    tokens: tuple[int, ...]
    encoded: Encoded | None


def can_go_on(model: PreTrainedModel) -> bool:
    """Whether a model can read a dialogue's next turn on top of what it has encoded."""
    return model.config.model_type in known_types() and headed(model).shares_prefix


def generate_on(
    model: PreTrainedModel,
    greedy: GenerationConfig,
    prompts: Sequence[tuple[int, ...]],
    cache: DynamicCache,
    *,
    keep: bool,
) -> list[Generated]:
    """Replies to a batch of prompts, on top of what is encoded of them; a dialogue leaves the batch when it has ended.

    Args:
        model: one that `can_go_on`.
        greedy: how it generates.
        prompts: token ids.
        cache: what is encoded of them, left-padded; used up by this.
        keep: whether to keep what is encoded.
    """
    ends = {greedy.eos_token_id} if isinstance(greedy.eos_token_id, int) else set(greedy.eos_token_id or ())
    done: dict[int, Generated] = {}
    going, rows = list(range(len(prompts))), list(prompts)
    generate: Any = model.generate
    while going:
        batch = pad(rows, "left", model.device, greedy.pad_token_id)
        output = generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            generation_config=greedy,
            past_key_values=cache,
            stopping_criteria=[_Enough(ends, model.device)],
        )
        width = batch.input_ids.shape[1]
        greedy.max_new_tokens -= output.shape[1] - width
        new = [_through(ends, tokens) for tokens in output[:, width:].tolist()]
        stay = []
        for place, (i, tokens) in enumerate(zip(going, new, strict=True)):
            column, rows[place] = width - len(rows[place]), (*rows[place], *tokens)
            if greedy.max_new_tokens and tokens[-1] not in ends:
                stay.append(place)
                continue
            kept = _kept(cache, place, column, rows[place]) if keep else None
            done[i] = Generated(rows[place][len(prompts[i]) :], kept)
        going, rows = [going[place] for place in stay], [rows[place] for place in stay]
        if going:
            _leave(cache, stay, output.shape[1] - max(map(len, rows)))
    return [done[i] for i in range(len(prompts))]


def _through(ends: set[int], tokens: list[int]) -> list[int]:
    """Tokens up to the first end."""
    return tokens[: next((i + 1 for i, token in enumerate(tokens) if token in ends), len(tokens))]


def layers_of(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of each layer, [row head column d]; none of a cache that nothing was put into."""
    pairs = [(layer.keys, layer.values) for layer in cache.layers]  # type: ignore[union-attr]
    return [(keys, values) for keys, values in pairs if keys is not None and values is not None]


def _kept(cache: DynamicCache, row: int, column: int, tokens: tuple[int, ...]) -> Encoded:
    """One row of a batch's cache; the last token generated was never read."""
    layers = [(keys[row, :, column:], values[row, :, column:]) for keys, values in layers_of(cache)]
    count = min(len(tokens), layers[0][0].shape[1])
    return Encoded(tokens[:count], [(keys[:, :count].clone(), values[:, :count].clone()) for keys, values in layers])


def _leave(cache: DynamicCache, rows: list[int], begin: int) -> None:
    """Leaves some rows of a batch's cache, from a column on: layer by layer, so that it is never there twice."""
    if begin == 0 and len(rows) == len(cache.layers[0].keys):  # type: ignore[union-attr, arg-type]
        return
    for layer, (keys, values) in zip(cache.layers, layers_of(cache), strict=True):
        layer.keys, layer.values = keys[rows, :, begin:], values[rows, :, begin:]  # type: ignore[union-attr]


def own_cache() -> DynamicCache:
    """A cache that keeps every token, also where the model's own settings would keep a window alone."""
    return DynamicCache()


def resumed(encoded: Sequence[Encoded], prompts: Sequence[Sequence[int]]) -> DynamicCache:
    """A cache from which a left-padded batch of prompts goes on; empties what it is made of.

    The batch is what it would be without a cache, cut in two at one column: what lies before it comes from the cache.
    So no padding lies within a dialogue, and windows and biases that count columns come out right. The dialogue with
    the most tokens that are not encoded decides where the cut is.
    """
    cache = own_cache()
    width = max(len(prompt) for prompt in prompts)
    cut = width - max(len(prompt) - one.alike(prompt) for one, prompt in zip(encoded, prompts, strict=True))
    nothing = torch.empty(0)
    counts = [max(0, cut - (width - len(prompt))) for prompt in prompts]
    for index in range(len(encoded[0].layers) if cut > 0 else 0):
        of = [one.layers[index] for one in encoded]
        keys, values = (_left_padded([layer[which] for layer in of], counts, cut) for which in (0, 1))
        cache.update(keys, values, index)
        for one in encoded:
            one.layers[index] = nothing, nothing  # as the new cache grows, the old ones go
    return cache


def _left_padded(rows: list[Tensor], counts: list[int], width: int) -> Tensor:
    new = rows[0].new_zeros(len(rows), rows[0].shape[0], width, rows[0].shape[2])  # [row head column d]
    for row, (of, count) in enumerate(zip(rows, counts, strict=True)):
        new[row, :, width - count :] = of[:, :count]
    return new
