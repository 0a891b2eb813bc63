"""Architectures: where a model keeps its heads. The only package that knows module names."""

from pinpoint.models._code import blank, came_along, minding_code, own_code
from pinpoint.models._context import context_of, counts_padding_from, other_positions_beyond
from pinpoint.models._held import held_per_token, inner_width, residual_size
from pinpoint.models._hub import asking_hub
from pinpoint.models._layout import Layout
from pinpoint.models._load import (
    Loaded,
    config_of,
    demand_known_words,
    demand_no_adapter,
    load,
    load_tokenizer,
    model_class,
    pick_device,
)
from pinpoint.models._packed import Packed, in_bits_packed, kept_packed, missing_libraries, packed, spared
from pinpoint.models._placement import is_spread
from pinpoint.models._qkv import PARTS, Projections, Which, features, fused, gated, grouped, interleaved, stacked
from pinpoint.models._quantised import demand_gradients, demand_unquantised, is_quantised, quantisation, rounds_by_batch
from pinpoint.models._registry import headed, is_shipped, known_types, register
from pinpoint.models._routers import Choices, Ranking, Router, choices
from pinpoint.models._shared import sharing_weights
from pinpoint.models._spec import HeadedModel

__all__ = [
    "PARTS",
    "Choices",
    "HeadedModel",
    "Layout",
    "Loaded",
    "Packed",
    "Projections",
    "Ranking",
    "Router",
    "Which",
    "asking_hub",
    "blank",
    "came_along",
    "choices",
    "config_of",
    "context_of",
    "counts_padding_from",
    "demand_gradients",
    "demand_known_words",
    "demand_no_adapter",
    "demand_unquantised",
    "features",
    "fused",
    "gated",
    "grouped",
    "headed",
    "held_per_token",
    "in_bits_packed",
    "inner_width",
    "interleaved",
    "is_quantised",
    "is_shipped",
    "is_spread",
    "kept_packed",
    "known_types",
    "load",
    "load_tokenizer",
    "minding_code",
    "missing_libraries",
    "model_class",
    "other_positions_beyond",
    "own_code",
    "packed",
    "pick_device",
    "quantisation",
    "register",
    "residual_size",
    "rounds_by_batch",
    "sharing_weights",
    "spared",
    "stacked",
]
