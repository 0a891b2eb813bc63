"""The GPT layouts: GPT-2, GPT-BigCode, GPT-Neo, GPT-J, CodeGen and GPT-NeoX (Pythia)."""

from transformers import PretrainedConfig

from pinpoint.models._layout import Layout, one_each
from pinpoint.models._qkv import Projections, fused, in_parts, interleaved, stacked


def _bigcode(config: PretrainedConfig) -> Projections:
    return fused("c_attn", stacked if config.multi_query else interleaved)


GPT2 = Layout(
    model_types=("gpt2",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="attn",
    out_proj="c_proj",
    projections=lambda _config: fused("c_attn", stacked),
    notes="fused q, k, v; Conv1D weights",
    kv_heads=one_each,
)
GPT_BIGCODE = Layout(
    model_types=("gpt_bigcode",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="attn",
    out_proj="c_proj",
    projections=_bigcode,
    notes="fused q, k, v",
    kv_heads=lambda config: 1 if config.multi_query else int(config.num_attention_heads),
)
GPT_NEO = Layout(
    model_types=("gpt_neo",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="attn",
    out_proj="attention.out_proj",
    projections=lambda _config: Projections("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    kv_heads=one_each,
)
GPTJ = Layout(
    model_types=("gptj",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="attn",
    out_proj="out_proj",
    kv_heads=one_each,
)
CODEGEN = Layout(
    model_types=("codegen",),
    backbone="transformer",
    layers="transformer.h",
    tail=("transformer.ln_f",),
    attention="attn",
    out_proj="out_proj",
    projections=lambda _config: fused("qkv_proj", in_parts),
    notes="fused q, k, v, in four parts",
    kv_heads=one_each,
)
GPT_NEOX = Layout(
    model_types=("gpt_neox",),
    backbone="gpt_neox",
    layers="gpt_neox.layers",
    tail=("gpt_neox.final_layer_norm",),
    attention="attention",
    out_proj="dense",
    projections=lambda _config: fused("query_key_value", interleaved),
    notes="fused q, k, v, head by head",
    kv_heads=one_each,
)
