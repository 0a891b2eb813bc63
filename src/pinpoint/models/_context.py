"""How much a model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import PretrainedConfig

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def context_of(model: PreTrainedModel | PeftModel | PretrainedConfig) -> int | None:
    """Tokens that a model reads at the most; None where its config names no limit. Wrappers keep it with the text."""
    config = model if isinstance(model, PretrainedConfig) else model.config
    limit: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return limit
