"""Architectures: where a model keeps its heads. The only package that knows module names."""

from pinpoint.models._load import NO_CODE, Loaded, load, load_tokenizer, model_class, pick_device
from pinpoint.models._registry import headed, known_types
from pinpoint.models._spec import HeadedModel, Layout, features

__all__ = [
    "NO_CODE",
    "HeadedModel",
    "Layout",
    "Loaded",
    "features",
    "headed",
    "known_types",
    "load",
    "load_tokenizer",
    "model_class",
    "pick_device",
]
