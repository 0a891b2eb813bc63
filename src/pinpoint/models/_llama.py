"""The Llama layout: `model.layers`, `self_attn` with an `o_proj`, a final `model.norm`.

Norms (before, after or around), parallel blocks, routed MLPs, soft caps and scales differ; the model's own
modules take care of them.
"""

from dataclasses import replace

from pinpoint.models._layout import Layout
from pinpoint.models._qkv import fused, stacked

LLAMA = Layout(
    model_types=(
        "afmoe",
        "apertus",
        "arcee",
        "aria_text",
        "cohere",
        "cohere2",
        "cohere2_moe",
        "cwm",
        "dots1",
        "ernie4_5",
        "ernie4_5_moe",
        "exaone4",
        "exaone_moe",
        "flex_olmo",
        "flint",
        "gemma",
        "gemma2",
        "gemma3_text",
        "glm",
        "glm4",
        "glm4_moe",
        "gpt_oss",
        "granite",
        "granite_swa",
        "granitemoe",
        "granitemoe_swa",
        "granitemoeshared",
        "helium",
        "hunyuan_v1_dense",
        "hunyuan_v1_moe",
        "hy_v3",
        "hyperclovax",
        "internlm3",
        "iquestcoder",
        "jais2",
        "kolibri1",
        "llama",
        "llama4_text",
        "mellum",
        "minimax_m2",
        "ministral",
        "ministral3",
        "mistral",
        "mixtral",
        "nanochat",
        "nemotron",
        "olmo",
        "olmo2",
        "olmo3",
        "olmoe",
        "phimoe",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "seed_oss",
        "smollm3",
        "solar_open",
        "stablelm",
        "starcoder2",
        "vaultgemma",
    ),
)
PHI = Layout(model_types=("phi",), tail=("model.final_layernorm",), out_proj="dense")
PHI3 = Layout(
    model_types=("phi3", "phi4_multimodal"),
    projections=lambda _config: fused("qkv_proj", stacked),
    notes="fused q, k, v",
)
# Wrappers with a text decoder inside: images are left to them, text goes through the same blocks.
TEXT_OF_WRAPPER = Layout(
    model_types=(
        "aya_vision",
        "cohere2_vision",
        "gemma3",
        "glm4v",
        "glm4v_moe",
        "internvl",
        "llava",
        "llava_next",
        "llava_onevision",
        "mistral3",
        "qwen2_5_vl",
        "qwen2_vl",
        "qwen3_vl",
        "qwen3_vl_moe",
        "vipllava",
    ),
    layers="model.language_model.layers",
    tail=("model.language_model.norm",),
    notes="the text decoder inside a wrapper for images",
)
# As it generates, it counts positions from the first column of a batch, padding or not: a kept cache would be turned.
EXAONE4_5 = replace(TEXT_OF_WRAPPER, model_types=("exaone4_5",), shares_prefix=False)
IDEFICS3 = Layout(
    model_types=("idefics3", "smolvlm"),
    layers="model.text_model.layers",
    tail=("model.text_model.norm",),
    notes="the text decoder inside a wrapper for images",
)
# Its text decoder is a whole language model, unembedding and all. Loaded as a language model, it is "llama4_text".
LLAMA4 = Layout(
    model_types=("llama4",),
    backbone="language_model.model",
    layers="language_model.model.layers",
    tail=("language_model.model.norm",),
    notes="the text decoder inside a wrapper for images",
)
