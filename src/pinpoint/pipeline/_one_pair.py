"""Holding the sweep to brute force on the model itself, on one short pair."""

from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from pinpoint.config import RunConfig, settings_of
from pinpoint.data import ContrastPair
from pinpoint.locate import locate
from pinpoint.models import headed, load, rounds_by_batch

_LIMIT = 1e-4
_BY_BATCH = 0.1  # LLM.int8 rounds what enters a matrix by the rows that come in together, which are other ones here.
_ROUNDED = 4  # An effect is a difference of two differences of logits, each of which brute force rounds.


class Verified(NamedTuple):
    """The sweep beside brute force.

    Attributes:
        difference: the largest of a head's effect, relative to the largest effect.
        limit: what rounding may make of it.
        dtype: that both computed in.
    """

    difference: float
    limit: float
    dtype: str


def compare_on_one_pair(model: str, settings: RunConfig | None = None) -> Verified:
    """Loads a model and holds the sweep to brute force on one short pair of random tokens.

    Args:
        model: a local folder or a Hub id.
        settings: of the run, for revision, own code, device, device map, bits and dtype; in float32 where they name no
            dtype.

    Raises:
        InputError: the model cannot be loaded so.
    """
    settings = settings or settings_of(model, None, {})
    dtype = "float32" if settings.dtype == "auto" else settings.dtype
    loaded = load(
        model,
        dtype,
        settings.device,
        settings.revision,
        settings.device_map,
        settings.bits,
        settings.trust_remote_code,
    )
    vocabulary = loaded.model.config.get_text_config().vocab_size
    ids = torch.randint(vocabulary, (4, 6), generator=torch.Generator().manual_seed(0)).tolist()
    pair = ContrastPair(ids[0] + ids[1], ids[0] + ids[2], unwanted=ids[3][:1], wanted=ids[3][1:2])
    exact = locate(loaded.model, None, [pair], engine="naive")
    fast = locate(loaded.model, None, [pair]).effects
    largest = float(exact.effects.abs().max())
    limit = _LIMIT if dtype == "float32" else _ROUNDED * _step(loaded.model, ids[0] + ids[1]) / largest
    if rounds_by_batch(loaded.model.config):
        limit = max(limit, _BY_BATCH)
    return Verified(float((fast - exact.effects).abs().max()) / largest, limit, dtype)


@torch.no_grad()
def _step(model: PreTrainedModel, prompt: list[int]) -> float:
    """By how much rounding moves a logit after a prompt: a step of the dtype at the largest of them."""
    logits = model(torch.tensor([prompt], device=headed(model).device), use_cache=False).logits[0, -1]
    return float(torch.finfo(logits.dtype).eps * max(1.0, float(logits.abs().max())))
