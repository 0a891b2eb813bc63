"""How much a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import PretrainedConfig

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def context_of(model: PreTrainedModel | PeftModel | PretrainedConfig) -> int | None:
    """Tokens that a model reads at the most; None where its config names no limit. Wrappers keep it with the text."""
    config = model if isinstance(model, PretrainedConfig) else model.config
    limit: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return limit


def other_positions_beyond(config: PretrainedConfig) -> int | None:
    """How long the longest row of a pass has to be for all rows to have other position embeddings; None where none is.

    Long-context RoPE chooses its frequencies so: by whether that row has more tokens than this.
    """
    text = config.get_text_config(decoder=True)
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None)
    found = _longrope(rope)
    if found is None:
        return None
    limit: int | None = found.get("original_max_position_embeddings")
    return limit if limit is not None else getattr(text, "original_max_position_embeddings", 0)


def _longrope(rope: Any) -> Mapping[str, Any] | None:
    if not isinstance(rope, Mapping):
        return None
    if "longrope" in (rope.get("rope_type"), rope.get("type")):
        return rope
    return next((found for inner in rope.values() if (found := _longrope(inner)) is not None), None)


def counts_padding_from(config: PretrainedConfig) -> int | None:
    """Tokens from which a row's attention depends on its padding; None where it never does.

    Llama 4 scales queries by the column of a pass that they stand in, step by step.
    """
    text = config.get_text_config(decoder=True)
    if not getattr(text, "attn_temperature_tuning", False):
        return None
    limit: int | None = getattr(text, "floor_scale", None)
    return limit
