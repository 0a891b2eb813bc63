"""Architectures: where a model keeps its heads. The only package that knows module names."""

from pinpoint.models._context import context_of
from pinpoint.models._held import held_per_token, inner_width
from pinpoint.models._hub import asking_hub
from pinpoint.models._layout import Layout
from pinpoint.models._load import NO_CODE, Loaded, demand_no_adapter, load, load_tokenizer, model_class, pick_device
from pinpoint.models._placement import is_spread
from pinpoint.models._qkv import PARTS, Projections, Which, features, fused, gated, grouped, interleaved, stacked
from pinpoint.models._quantised import demand_gradients, is_quantised, quantisation
from pinpoint.models._registry import headed, is_shipped, known_types, register
from pinpoint.models._routers import Choices, choices
from pinpoint.models._spec import HeadedModel

__all__ = [
    "NO_CODE",
    "Choices",
    "HeadedModel",
    "Layout",
    "Loaded",
    "PARTS",
    "Projections",
    "Which",
    "asking_hub",
    "choices",
    "context_of",
    "demand_gradients",
    "demand_no_adapter",
    "features",
    "fused",
    "gated",
    "grouped",
    "headed",
    "held_per_token",
    "inner_width",
    "interleaved",
    "is_quantised",
    "is_shipped",
    "is_spread",
    "known_types",
    "load",
    "load_tokenizer",
    "model_class",
    "pick_device",
    "quantisation",
    "register",
    "stacked",
]
