"""The Llama layout: sequential blocks with separate q, k, v and o projections."""

from pinpoint.models._spec import Layout

LLAMA = Layout(
    model_types=("llama", "mistral", "qwen2", "qwen3"),
    backbone="model",
    layers="model.layers",
    norm="model.norm",
    unembed="lm_head",
    attention="self_attn",
    q_proj="q_proj",
    k_proj="k_proj",
    v_proj="v_proj",
    out_proj="o_proj",
)
