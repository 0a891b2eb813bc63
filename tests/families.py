"""Tiny random models of every known architecture, with the features of each set so that they bite."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel

from pinpoint.models import model_class

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MOE = {"moe_intermediate_size": 40, "num_experts_per_tok": 2, "norm_topk_prob": True}
LATENT = {
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 12,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "num_key_value_heads": 6,
}
DENSE_LATENT = {k: v for k, v in LATENT.items() if "exp" not in k and "dense" not in k} | {"q_lora_rank": 24}
LATENT_HYBRID = {
    **LATENT,
    "num_local_experts": 4,
    "layer_types": ["linear_attention", "full_attention", "full_attention"],
    "mlp_layer_types": ["dense", "sparse", "sparse"],
}
# Each position looks at four: the prompts of the tests are longer. Few indexing heads would leave scores tied at zero.
SPARSE = {"q_lora_rank": 24, "index_topk": 4, "index_head_dim": 8, "index_n_heads": 16}
# The prompts of the tests are longer than the original context: the long factors are chosen.
LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 1e4,
    "short_factor": [1.0] * 4,
    "long_factor": [1.5, 2.0, 3.0, 4.0],
    "original_max_position_embeddings": 3,
}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "head_dim": 8,
}
MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2}

# name: (model_type, settings beside SHAPE)
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama-gqa": ("llama", {}),
    "llama-mha": ("llama", {"num_key_value_heads": 6, "attention_bias": True}),
    "llama-wide-heads": ("llama", {"num_key_value_heads": 3, "head_dim": 16}),
    "llama4": (
        "llama4_text",
        {
            "head_dim": 8,
            "intermediate_size_mlp": 80,
            "num_local_experts": 4,
            "interleave_moe_layer_step": 2,
            "attention_chunk_size": 8,
            "floor_scale": 64,
        },
    ),
    "mistral": ("mistral", {"num_key_value_heads": 3, "head_dim": 8, "sliding_window": 8}),
    "mixtral": ("mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2": ("qwen2", {}),
    "qwen2-moe": (
        "qwen2_moe",
        {**MOE, "num_experts": 4, "shared_expert_intermediate_size": 40, "decoder_sparse_step": 1},
    ),
    "qwen3": ("qwen3", {"head_dim": 12}),
    "qwen3-moe": ("qwen3_moe", {**MOE, "num_experts": 4, "head_dim": 8}),
    "gemma": ("gemma", {"head_dim": 8}),
    "gemma2": (
        "gemma2",
        {
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 8,
            "final_logit_softcapping": 5.0,
            "attn_logit_softcapping": 5.0,
        },
    ),
    "gemma3": ("gemma3_text", {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8}),
    "phi": ("phi", {"qk_layernorm": True}),
    "phi3": ("phi3", {"sliding_window": 8}),
    "phi3-longrope": ("phi3", {"rope_parameters": LONG_ROPE, "original_max_position_embeddings": 3}),
    "phimoe": ("phimoe", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8}),
    "gpt2": ("gpt2", {}),
    "gpt-bigcode-mqa": ("gpt_bigcode", {"multi_query": True}),
    "gpt-bigcode-mha": ("gpt_bigcode", {"multi_query": False}),
    "gpt-neo": (
        "gpt_neo",
        {"num_layers": 3, "num_heads": 6, "attention_types": [[["global", "local", "global"], 1]], "window_size": 8},
    ),
    "gptj": ("gptj", {"rotary_dim": 4}),
    "gpt-neox": ("gpt_neox", {"rotary_pct": 0.5}),
    "gpt-neox-sequential": ("gpt_neox", {"use_parallel_residual": False}),
    "opt": ("opt", {"ffn_dim": 80, "word_embed_proj_dim": 48}),
    "opt-350m": ("opt", {"ffn_dim": 80, "word_embed_proj_dim": 24, "do_layer_norm_before": False}),
    "bloom": ("bloom", {"hidden_size": 48, "n_head": 6, "n_layer": 3}),
    "bloom-post-norm": (
        "bloom",
        {"hidden_size": 48, "n_head": 6, "n_layer": 3, "apply_residual_connection_post_layernorm": True},
    ),
    "falcon-7b": ("falcon", {"multi_query": True, "parallel_attn": True, "new_decoder_architecture": False}),
    "falcon-40b": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-rw": (
        "falcon",
        {"multi_query": False, "parallel_attn": False, "new_decoder_architecture": False, "alibi": True},
    ),
    "mpt": ("mpt", {"d_model": 48, "n_heads": 6, "n_layers": 3, "max_seq_len": 64}),
    "persimmon": ("persimmon", {"num_key_value_heads": 6}),
    "stablelm": ("stablelm", {"use_qkv_bias": True}),
    "stablelm-parallel": ("stablelm", {"use_parallel_residual": True, "qk_layernorm": True}),
    "starcoder2": ("starcoder2", {"sliding_window": 8}),
    "olmo": ("olmo", {"clip_qkv": 0.5}),
    "olmo2": ("olmo2", {}),
    "olmo3": ("olmo3", {"sliding_window": 8}),
    "olmoe": ("olmoe", {"num_experts": 4, "num_experts_per_tok": 2, "clip_qkv": 0.5}),
    "cohere": ("cohere", {"logit_scale": 0.25, "use_qk_norm": True}),
    "cohere2": ("cohere2", {"logit_scale": 0.25, "sliding_window": 8}),
    "granite": (
        "granite",
        {
            "residual_multiplier": 0.4,
            "logits_scaling": 4.0,
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.3,
        },
    ),
    "granite-moe": (
        "granitemoe",
        {"num_local_experts": 4, "num_experts_per_tok": 2, "residual_multiplier": 0.4, "logits_scaling": 4.0},
    ),
    "granite-moe-shared": (
        "granitemoeshared",
        {"num_local_experts": 4, "num_experts_per_tok": 2, "shared_intermediate_size": 40, "residual_multiplier": 0.4},
    ),
    "deepseek-v2": ("deepseek_v2", {**MOE, **LATENT, "q_lora_rank": None, "topk_method": "greedy"}),
    "deepseek-v3": ("deepseek_v3", {**MOE, **LATENT, "q_lora_rank": 24, "n_group": 1, "topk_group": 1}),
    "gpt-oss": (
        "gpt_oss",
        {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8},
    ),
    "smollm3": ("smollm3", {"no_rope_layers": [1, 0, 1]}),
    "nemotron": ("nemotron", {}),
    "exaone4": ("exaone4", {"sliding_window": 8, "sliding_window_pattern": 2}),
    "glm": ("glm", {"head_dim": 8}),
    "glm4": ("glm4", {"head_dim": 8}),
    "glm4-moe": (
        "glm4_moe",
        {**MOE, "head_dim": 8, "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    ),
    "ernie4.5": ("ernie4_5", {"head_dim": 8}),
    "seed-oss": ("seed_oss", {"head_dim": 8}),
    "helium": ("helium", {"head_dim": 8}),
    "arcee": ("arcee", {}),
    "apertus": ("apertus", {}),
    "cwm": ("cwm", {"head_dim": 8, "sliding_window": 8}),
    "jamba": ("jamba", {**MAMBA, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 4, "mamba_dt_rank": 4}),
    "lfm2": ("lfm2", {"layer_types": ["conv", "full_attention", "full_attention"]}),
    "falcon-h1": ("falcon_h1", {**MAMBA, "mamba_d_ssm": 48, "mamba_n_heads": 6, "mamba_d_head": 8, "head_dim": 8}),
    "bamba": ("bamba", {**MAMBA, "mamba_n_heads": 6, "mamba_d_head": 16, "attn_layer_indices": [1, 2]}),
    "granite-hybrid": (
        "granitemoehybrid",
        {
            **MAMBA,
            "mamba_n_heads": 6,
            "mamba_d_head": 16,
            "layer_types": ["mamba", "attention", "attention"],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 40,
            "residual_multiplier": 0.4,
        },
    ),
    "qwen3-next": ("qwen3_next", {**MOE, **LINEAR, "num_experts": 4, "shared_expert_intermediate_size": 40}),
    "qwen3.5": ("qwen3_5_text", LINEAR),
    "qwen3.5-moe": ("qwen3_5_moe_text", {**MOE, **LINEAR, "num_experts": 4, "shared_expert_intermediate_size": 40}),
    "olmo-hybrid": ("olmo_hybrid", {**LINEAR, "rope_parameters": None}),
    "ministral": ("ministral", {"head_dim": 8, "sliding_window": 8}),
    "ministral3": (
        "ministral3",
        {
            "head_dim": 8,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "llama_4_scaling_beta": 0.5,
                "original_max_position_embeddings": 4,
            },
        },
    ),
    "exaone-moe": (
        "exaone_moe",
        {**MOE, "num_experts": 4, "sliding_window": 8, "sliding_window_pattern": 2, "routed_scaling_factor": 2.5},
    ),
    "glm4-moe-lite": ("glm4_moe_lite", {**MOE, **LATENT, "q_lora_rank": 24, "n_group": 1, "topk_group": 1}),
    "minimax-m2": ("minimax_m2", {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "rotary_dim": 4}),
    "lfm2-moe": (
        "lfm2_moe",
        {
            **MOE,
            "num_experts": 4,
            "num_dense_layers": 1,
            "layer_types": ["conv", "full_attention", "full_attention"],
        },
    ),
    "ernie4.5-moe": (
        "ernie4_5_moe",
        {"moe_intermediate_size": 40, "moe_k": 2, "moe_num_experts": 4, "moe_num_shared_experts": 1},
    ),
    "hunyuan": ("hunyuan_v1_dense", {"head_dim": 8}),
    "hunyuan-moe": ("hunyuan_v1_moe", {"head_dim": 8, "num_experts": 4, "moe_topk": 2}),
    "dots1": (
        "dots1",
        {
            **MOE,
            "head_dim": 8,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
            "sliding_window": 8,
            "max_window_layers": 1,
        },
    ),
    "flex-olmo": ("flex_olmo", {"num_experts": 4, "num_experts_per_tok": 2}),
    "vaultgemma": (
        "vaultgemma",
        {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8, "final_logit_softcapping": 5.0},
    ),
    "nanochat": ("nanochat", {"final_logit_softcapping": 5.0}),
    "jais2": ("jais2", {}),
    "internlm3": ("internlm3", {"head_dim": 8, "qkv_bias": True, "bias": True}),
    "hyperclovax": (
        "hyperclovax",
        {
            "residual_multiplier": 0.4,
            "logits_scaling": 4.0,
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.3,
        },
    ),
    "granite-swa": (
        "granite_swa",
        {
            "sliding_window": 8,
            "layer_rope_theta": [0, 1e4, 100.0],
            "residual_multiplier": 0.4,
            "logits_scaling": 4.0,
        },
    ),
    "solar-open": (
        "solar_open",
        {**MOE, "head_dim": 8, "n_routed_experts": 4, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.5},
    ),
    "cohere2-moe": (
        "cohere2_moe",
        {
            "head_dim": 8,
            "logit_scale": 0.25,
            "sliding_window": 8,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "num_shared_experts": 1,
            "first_k_dense_replace": 1,
            "prefix_dense_intermediate_size": 40,
        },
    ),
    "deepseek-v3.2": ("deepseek_v32", {**MOE, **LATENT, **SPARSE, "n_group": 1, "topk_group": 1}),
    "granite-moe-swa": (
        "granitemoe_swa",
        {
            "sliding_window": 8,
            "layer_rope_theta": [0, 1e4, 100.0],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 40,
            "residual_multiplier": 0.4,
        },
    ),
    "hy3": ("hy_v3", {**MOE, "head_dim": 8, "num_experts": 4, "router_scaling_factor": 2.5}),
    "iquestcoder": ("iquestcoder", {"head_dim": 8, "attention_bias": True}),
    "mellum": (
        "mellum",
        {
            **MOE,
            "head_dim": 8,
            "num_experts": 4,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        },
    ),
    "afmoe": (
        "afmoe",
        {
            "head_dim": 8,
            "moe_intermediate_size": 40,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "num_shared_experts": 1,
            "route_scale": 2.5,
            "mup_enabled": True,
            "sliding_window": 8,
            "global_attn_every_n_layers": 3,
        },
    ),
    "youtu": ("youtu", DENSE_LATENT),
    "minimax": (
        "minimax",
        {
            "head_dim": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "block_size": 4,
            "layer_types": ["linear_attention", "full_attention", "full_attention"],
            "full_attn_alpha_factor": 3.5,
            "linear_attn_alpha_factor": 3.5,
            "mlp_alpha_factor": 3.5,
        },
    ),
    "nemotron-h": (
        "nemotron_h",
        {
            "head_dim": 8,
            "layers_block_type": ["full_attention", "moe", "full_attention", "linear_attention", "mlp"],
            "ssm_state_size": 8,
            "mamba_num_heads": 6,
            "mamba_head_dim": 16,
            "n_groups": 2,
            "n_routed_experts": 4,
            "moe_intermediate_size": 40,
            "moe_shared_expert_intermediate_size": 40,
        },
    ),
    "flint": (
        "flint",
        {
            **MOE,
            "head_dim": 8,
            "num_experts": 4,
            "shared_expert_intermediate_size": 40,
            "sliding_window": 8,
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            "mlp_only_layers": [0],
        },
    ),
    "kolibri1": (
        "kolibri1",
        {**MOE, "head_dim": 8, "num_experts": 4, "shared_expert_intermediate_size": 40, "sliding_window": 8},
    ),
    "aria-text": ("aria_text", {"moe_num_experts": 4, "moe_topk": 2}),
    "axk1": (
        "axk1",
        {
            **MOE,
            **LATENT,
            "q_lora_rank": 24,
            "n_group": 1,
            "topk_group": 1,
            "mlp_layer_types": ["dense", "sparse", "sparse"],
        },
    ),
    "minicpm3": ("minicpm3", {**DENSE_LATENT, "scale_depth": 0.7, "scale_emb": 3, "dim_model_base": 12}),
    "mistral4": ("mistral4", {**MOE, **LATENT, "q_lora_rank": 24, "n_group": 1, "topk_group": 1}),
    "kimi-linear": ("kimi_linear", {**MOE, **LATENT_HYBRID, "linear_head_dim": 8, "linear_num_heads": 4}),
    "bailing-hybrid": ("bailing_hybrid", {**MOE, **LATENT_HYBRID, "n_group": 1, "topk_group": 1}),
    "lfm3": ("lfm3", {"layer_types": ["conv", "full_attention", "full_attention"]}),
    "codegen": ("codegen", {"num_attention_heads": 8, "rotary_dim": 4}),
    "biogpt": ("biogpt", {}),
    "dbrx": (
        "dbrx",
        {
            "d_model": 48,
            "attn_config": {"kv_n_heads": 2, "clip_qkv": 0.5, "rope_theta": 1e4},
            "ffn_config": {"ffn_hidden_size": 40, "moe_num_experts": 4, "moe_top_k": 2},
        },
    ),
    "phi4-multimodal": (
        "phi4_multimodal",
        {
            "sliding_window": 8,
            "original_max_position_embeddings": 64,
            "vision_config": {
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": 28,
                "crop_size": 28,
            },
            "audio_config": {
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_blocks": 1,
                "num_attention_heads": 2,
                "ext_pw_out_channel": 16,
                "nemo_conv_channels": 16,
            },
        },
    ),
}


# Llama's layout, with and without shared key/value heads, windows and norms.
PLAIN = ("llama-gqa", "llama-mha", "llama-wide-heads", "mistral", "qwen2", "qwen3")
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
QWEN_VISION = {"depth": 1, "num_heads": 2, "patch_size": 8}
QWEN3_VISION = {
    **QWEN_VISION,
    "hidden_size": 16,
    "intermediate_size": 24,
    "out_hidden_size": 48,
    "num_position_embeddings": 4,
    "deepstack_visual_indexes": [0],
}
QWEN_TOKENS = {"image_token_id": 93, "video_token_id": 94, "vision_start_token_id": 95, "vision_end_token_id": 96}
MROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}}
GLM_VISION = {
    "vision_config": {**QWEN_VISION, "hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 48},
    "image_token_id": 91,
    "video_token_id": 92,
    "image_start_token_id": 93,
    "image_end_token_id": 94,
    "video_start_token_id": 95,
    "video_end_token_id": 96,
}
# Wrappers around a text decoder: (model_type, settings of the decoder, the other settings)
WRAPPERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "gemma3-vision": (
        "gemma3",
        {"model_type": "gemma3_text", "head_dim": 8, "sliding_window": 8},
        {
            "vision_config": {**VISION, "model_type": "siglip_vision_model"},
            "image_token_index": 94,
            "boi_token_index": 95,
            "eoi_token_index": 96,
        },
    ),
    "llava": (
        "llava",
        {"model_type": "llama"},
        {"vision_config": {**VISION, "model_type": "clip_vision_model"}, "image_token_index": 96},
    ),
    "mistral3-vision": (
        "mistral3",
        {"model_type": "mistral", "head_dim": 8, "sliding_window": 8},
        {"vision_config": {**VISION, "model_type": "pixtral", "head_dim": 8}, "image_token_index": 96},
    ),
    "cohere2-vision": (
        "cohere2_vision",
        {"model_type": "cohere2", "logit_scale": 0.25, "sliding_window": 8},
        {"vision_config": {**VISION, "model_type": "siglip_vision_model"}, "image_token_id": 96},
    ),
    "internvl": (
        "internvl",
        {"model_type": "qwen2"},
        {"vision_config": {**VISION, "model_type": "internvl_vision"}, "image_token_id": 96},
    ),
    "exaone4.5-vision": (
        "exaone4_5",
        {"model_type": "exaone4", "sliding_window": 8, "sliding_window_pattern": 2},
        {
            "vision_config": {
                **QWEN_VISION,
                "hidden_size": 16,
                "intermediate_size": 24,
                "out_hidden_size": 48,
                "num_key_value_heads": 1,
            },
            "image_token_id": 93,
            "video_token_id": 94,
        },
    ),
    "glm4v": ("glm4v", {"model_type": "glm4v_text", **MROPE}, GLM_VISION),
    "glm4v-moe": (
        "glm4v_moe",
        {
            **MOE,
            "model_type": "glm4v_moe_text",
            "head_dim": 16,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            **MROPE,
        },
        GLM_VISION,
    ),
    "aya-vision": (
        "aya_vision",
        {"model_type": "cohere2", "logit_scale": 0.25, "sliding_window": 8},
        {"vision_config": {**VISION, "model_type": "siglip_vision_model"}, "image_token_index": 96},
    ),
    "vipllava": (
        "vipllava",
        {"model_type": "llama"},
        {"vision_config": {**VISION, "model_type": "clip_vision_model"}, "image_token_index": 96},
    ),
    "lfm2-vl": (
        "lfm2_vl",
        {"model_type": "lfm2", "layer_types": ["conv", "full_attention", "full_attention"]},
        {"vision_config": {**VISION, "model_type": "siglip2_vision_model"}, "image_token_id": 96},
    ),
    "idefics3": (
        "idefics3",
        {"model_type": "llama"},
        {"vision_config": {**VISION, "model_type": "idefics3_vision"}, "image_token_id": 96},
    ),
    "smolvlm": (
        "smolvlm",
        {"model_type": "llama", "head_dim": 12},
        {"vision_config": {**VISION, "model_type": "smolvlm_vision"}, "image_token_id": 96},
    ),
    "llava-next": (
        "llava_next",
        {"model_type": "mistral", "sliding_window": 8},
        {"vision_config": {**VISION, "model_type": "clip_vision_model"}, "image_token_index": 96},
    ),
    "llava-onevision": (
        "llava_onevision",
        {"model_type": "qwen2"},
        {"vision_config": {**VISION, "model_type": "siglip_vision_model"}, "image_token_index": 96},
    ),
    "llama4-vision": (
        "llama4",
        {**FAMILIES["llama4"][1], "model_type": "llama4_text"},
        {
            "vision_config": {
                **VISION,
                "vision_output_dim": 16,
                "projector_input_dim": 16,
                "projector_output_dim": 16,
                "intermediate_size": 64,
            },
            "image_token_index": 96,
        },
    ),
    "qwen3-vl": (
        "qwen3_vl",
        {"model_type": "qwen3_vl_text", "head_dim": 8, **MROPE},
        {"vision_config": QWEN3_VISION, **QWEN_TOKENS},
    ),
    "qwen3-vl-moe": (
        "qwen3_vl_moe",
        {**MOE, "num_experts": 4, "model_type": "qwen3_vl_moe_text", "head_dim": 8, **MROPE},
        {"vision_config": QWEN3_VISION, **QWEN_TOKENS},
    ),
    "qwen3.5-vision": (
        "qwen3_5",
        {**LINEAR, "model_type": "qwen3_5_text"},
        {"vision_config": QWEN3_VISION, **QWEN_TOKENS},
    ),
    "qwen3.5-moe-vision": (
        "qwen3_5_moe",
        {**FAMILIES["qwen3.5-moe"][1], "model_type": "qwen3_5_moe_text"},
        {"vision_config": QWEN3_VISION, **QWEN_TOKENS},
    ),
    "qwen2-vl": (
        "qwen2_vl",
        {"model_type": "qwen2_vl_text", **MROPE},
        {"vision_config": {**QWEN_VISION, "embed_dim": 16, "hidden_size": 48}, **QWEN_TOKENS},
    ),
    "qwen2.5-vl": (
        "qwen2_5_vl",
        {"model_type": "qwen2_5_vl_text", **MROPE},
        {
            "vision_config": {**QWEN_VISION, "hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 48},
            **QWEN_TOKENS,
        },
    ),
}
FAMILIES |= {
    name: (kind, {**other, "text_config": {**SHAPE, **text}}) for name, (kind, text, other) in WRAPPERS.items()
}


# What tells them from others of their layout is no feature of the table: orders of q, k and v, places of norms.
OF_THEIR_OWN = {"bloom-post-norm", "deepseek-v3", "falcon-40b", "opt-350m"}


def _aliases() -> set[str]:
    """Families whose layout and features, by the record of the docs' table, are those of an earlier one."""
    record = Path(__file__).resolve().parent.parent / "bench/results/families.json"
    first: dict[tuple[str, ...], str] = {}
    kinds = {row["family"]: (row["layout"], *row["features"]) for row in json.loads(record.read_text("utf-8"))["rows"]}
    return {family for family, kind in kinds.items() if first.setdefault(kind, family) != family} - OF_THEIR_OWN


ALIASES = _aliases()


def each(families: Iterable[str]) -> list[Any]:
    """Families as parameters of a quick test: aliases, which do what an earlier one does, are for the slow suite."""
    return [pytest.param(family, marks=pytest.mark.slow if family in ALIASES else ()) for family in families]


def config_of(family: str, **changes: Any) -> Any:
    """The tiny config of a family, with settings changed."""
    # What is nested in the settings is shared by families, and configs write to it.
    model_type, extra = copy.deepcopy(FAMILIES[family])
    shape = {} if "text_config" in extra else SHAPE
    return AutoConfig.for_model(model_type, **{**shape, **extra, **changes})


def has_experts(family: str) -> bool:
    """Whether a family has experts to choose from."""
    config = config_of(family).get_text_config(decoder=True)
    named = [config, getattr(config, "ffn_config", None)]
    counts = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
    return any(getattr(one, name, None) for one in named for name in counts)


def built(config: Any) -> PreTrainedModel:
    """A model as transformers initialises it; of a wrapper, the whole of it."""
    # Some wrappers load as the language model inside, which is a family of its own.
    wraps = "text_config" in config.sub_configs and hasattr(config, "vision_config")
    return (AutoModelForImageTextToText if wraps else model_class(config)).from_config(config)


def tiny(family: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A random float32 model whose heads, biases and norms all matter."""
    torch.manual_seed(seed)
    model = built(config_of(family, **changes))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            parameter.data = 0.15 * noise
        else:
            parameter.data = 0.3 * noise + (0.0 if name.endswith("bias") else 1.0)
    return model.float().eval()
