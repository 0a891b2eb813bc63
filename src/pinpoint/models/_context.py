"""How much a model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def context_of(model: PreTrainedModel | PeftModel) -> int | None:
    """Tokens that the model reads at the most; None where its config names no limit. Wrappers keep it with the text."""
    limit: int | None = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return limit
