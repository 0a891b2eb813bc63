"""Layouts that are alone in their kind: OPT, BioGPT, BLOOM, Falcon, MPT, Persimmon, DBRX."""

from transformers import PretrainedConfig

from pinpoint.models._layout import Layout, one_each
from pinpoint.models._qkv import Projections, fused, grouped, interleaved, stacked


def _falcon_groups(config: PretrainedConfig) -> int:
    if config.new_decoder_architecture:
        return int(config.num_kv_heads)
    return 1 if config.multi_query else int(config.num_attention_heads)


def _falcon(config: PretrainedConfig) -> Projections:
    if config.new_decoder_architecture:
        return fused("query_key_value", grouped)
    return fused("query_key_value", stacked if config.multi_query else interleaved)


OPT = Layout(
    model_types=("opt",),
    backbone="model.decoder",
    layers="model.decoder.layers",
    tail=("model.decoder.final_layer_norm", "model.decoder.project_out"),
    out_proj="out_proj",
    kv_heads=one_each,
)
BIOGPT = Layout(
    model_types=("biogpt",),
    backbone="biogpt",
    layers="biogpt.layers",
    tail=("biogpt.layer_norm",),
    out_proj="out_proj",
    kv_heads=one_each,
)
BLOOM = Layout(
    model_types=("bloom",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="self_attention",
    out_proj="dense",
    projections=lambda _config: fused("query_key_value", interleaved),
    adds_residual=True,
    mlp_outputs=("mlp.dense_4h_to_h",),
    notes="attention adds the residual stream itself; fused q, k, v",
    kv_heads=one_each,
)
FALCON = Layout(
    model_types=("falcon",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="self_attention",
    out_proj="dense",
    projections=_falcon,
    kv_heads=_falcon_groups,
    notes="fused q, k, v, in one of three orders",
)
MPT = Layout(
    model_types=("mpt",),
    backbone="transformer",
    layers="transformer.blocks",
    tail=("transformer.norm_f",),
    attention="attn",
    out_proj="out_proj",
    projections=lambda _config: fused("Wqkv", stacked),
    mlp_outputs=("ffn.down_proj",),
    notes="fused q, k, v",
    kv_heads=one_each,
)
PERSIMMON = Layout(
    model_types=("persimmon",),
    tail=("model.final_layernorm",),
    out_proj="dense",
    projections=lambda _config: fused("query_key_value", interleaved),
    notes="fused q, k, v, head by head",
    kv_heads=one_each,
)
DBRX = Layout(
    model_types=("dbrx",),
    backbone="transformer",
    layers="transformer.blocks",
    tail=("transformer.norm_f",),
    attention="norm_attn_norm.attn",
    out_proj="out_proj",
    projections=lambda _config: fused("Wqkv", stacked),
    notes="fused q, k, v",
)
