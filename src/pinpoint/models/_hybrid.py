"""Hybrids: blocks that mix positions by attention, and blocks that do it by convolutions, states or linear attention.

With every mixer frozen, what a head adds to the residual stream still travels through its own position alone;
the nodes are the attention heads.
"""

from dataclasses import replace

from pinpoint.models._layout import Layout
from pinpoint.models._qkv import Projections, gated

STATE_SPACE = Layout(
    model_types=("bamba", "falcon_h1", "jamba"),
    tail=("model.final_layernorm",),
    mixers=("mamba",),
    shares_prefix=False,
    notes="state-space layers stay frozen",
)
LFM2 = Layout(
    model_types=("lfm2", "lfm2_moe"),
    tail=("model.embedding_norm",),
    out_proj="out_proj",
    mixers=("conv",),
    shares_prefix=False,
    notes="convolutions stay frozen",
)
LFM3 = replace(LFM2, model_types=("lfm3",), out_proj="o_proj")
LFM2_OF_WRAPPER = replace(
    LFM2,
    model_types=("lfm2_vl",),
    layers="model.language_model.layers",
    tail=("model.language_model.embedding_norm",),
    notes=f"the text decoder inside a wrapper for images; {LFM2.notes}",
)
GRANITE_HYBRID = Layout(
    model_types=("granitemoehybrid",), mixers=("mamba",), shares_prefix=False, notes="state-space layers stay frozen"
)
# Chunked and recurrent forms of linear attention round differently: what goes on from a state is not exact.
GATED_DELTA = Layout(
    model_types=("qwen3_5_moe_text", "qwen3_5_text", "qwen3_next"),
    projections=lambda _config: Projections(rows=gated),
    mixers=("linear_attn",),
    shares_prefix=False,
    notes="linear attention stays frozen; q_proj holds each head's query and the gate of its output",
)
GATED_DELTA_OF_WRAPPER = replace(
    GATED_DELTA,
    model_types=("qwen3_5", "qwen3_5_moe"),
    layers="model.language_model.layers",
    tail=("model.language_model.norm",),
    notes=f"the text decoder inside a wrapper for images; {GATED_DELTA.notes}",
)
OLMO_HYBRID = Layout(
    model_types=("olmo_hybrid",),
    mixers=("linear_attn",),
    shares_prefix=False,
    notes="linear attention stays frozen",
)
MINIMAX = Layout(
    model_types=("minimax",),
    mixer_outputs=2,
    mixer_mark="slope_rate",
    shares_prefix=False,
    notes="lightning attention, linear, stays frozen",
)
NEMOTRON_H = Layout(
    model_types=("nemotron_h",),
    tail=("model.norm_f",),
    attention="mixer",
    mixer_mark="conv1d",
    shares_prefix=False,
    notes="a block is attention, a state space or an MLP; state-space layers stay frozen",
)
