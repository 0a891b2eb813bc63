"""The Llama layout: `model.layers`, `self_attn` with an `o_proj`, a final `model.norm`.

Norms (before, after or around), parallel blocks, routed MLPs, soft caps and scales differ; the model's own
modules take care of them.
"""

from pinpoint.models._qkv import fused, stacked
from pinpoint.models._spec import Layout

LLAMA = Layout(
    model_types=(
        "apertus",
        "arcee",
        "cohere",
        "cohere2",
        "cwm",
        "ernie4_5",
        "exaone4",
        "gemma",
        "gemma2",
        "gemma3_text",
        "glm",
        "glm4",
        "glm4_moe",
        "gpt_oss",
        "granite",
        "granitemoe",
        "granitemoeshared",
        "helium",
        "llama",
        "llama4_text",
        "mistral",
        "mixtral",
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
        "stablelm",
        "starcoder2",
    ),
)
PHI = Layout(model_types=("phi",), tail=("model.final_layernorm",), out_proj="dense")
PHI3 = Layout(model_types=("phi3",), projections=lambda _config: fused("qkv_proj", stacked), notes="fused q, k, v")
# Wrappers with a text decoder inside: images are left to them, text goes through the same blocks.
TEXT_OF_WRAPPER = Layout(
    model_types=("gemma3", "llava", "mistral3", "qwen2_vl", "qwen2_5_vl"),
    layers="model.language_model.layers",
    tail=("model.language_model.norm",),
    notes="the text decoder inside a wrapper for images",
)
