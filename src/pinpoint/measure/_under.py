"""The model that an adapter lies on."""

from typing import Any, cast

from peft import PeftModel
from transformers import PreTrainedModel


def under(model: Any) -> PreTrainedModel:
    """The model under an adapter, or the model itself.

    A `PeftModel` hands on what it is asked for to what it wraps, and so takes the whole model for its backbone.
    """
    return cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
