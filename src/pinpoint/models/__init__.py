"""Architectures: where a model keeps its heads. The only package that knows module names."""

from pinpoint.models._load import Loaded, load, load_tokenizer, model_class, pick_device
from pinpoint.models._placement import SPREAD, DeviceMap, is_spread
from pinpoint.models._registry import headed, known_types
from pinpoint.models._spec import HeadedModel, Layout, features

__all__ = [
    "SPREAD",
    "DeviceMap",
    "HeadedModel",
    "Layout",
    "Loaded",
    "features",
    "headed",
    "is_spread",
    "known_types",
    "load",
    "load_tokenizer",
    "model_class",
    "pick_device",
]
