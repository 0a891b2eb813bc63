"""Hybrids: blocks that mix positions by attention, and blocks that do it by convolutions or state spaces.

With every mixer frozen, what a head adds to the residual stream still travels through its own position alone;
the nodes are the attention heads.
"""

from pinpoint.models._spec import Layout

JAMBA = Layout(
    model_types=("jamba",),
    tail=("model.final_layernorm",),
    mixers=("mamba",),
    shares_prefix=False,
    notes="state-space layers stay frozen",
)
LFM2 = Layout(
    model_types=("lfm2",),
    tail=("model.embedding_norm",),
    out_proj="out_proj",
    mixers=("conv",),
    shares_prefix=False,
    notes="convolutions stay frozen",
)
FALCON_H1 = Layout(
    model_types=("falcon_h1",),
    tail=("model.final_layernorm",),
    mixers=("mamba",),
    shares_prefix=False,
    notes="state-space layers stay frozen",
)
BAMBA = Layout(
    model_types=("bamba",),
    tail=("model.final_layernorm",),
    mixers=("mamba",),
    shares_prefix=False,
    notes="state-space layers stay frozen",
)
GRANITE_HYBRID = Layout(
    model_types=("granitemoehybrid",), mixers=("mamba",), shares_prefix=False, notes="state-space layers stay frozen"
)
