"""Tiny random models, built from configs."""

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 64,
    "attn_implementation": "sdpa",
}
FAMILIES = {
    "llama-gqa": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 2}),
    "llama-mha": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 6, "attention_bias": True}),
    "llama-wide-heads": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 3, "head_dim": 16}),
    "mistral": (
        MistralConfig,
        MistralForCausalLM,
        {"num_key_value_heads": 3, "head_dim": 8, "sliding_window": 8},
    ),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"num_key_value_heads": 2}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"num_key_value_heads": 2, "head_dim": 12}),
}


def tiny(family: str, seed: int = 0) -> PreTrainedModel:
    """A random float32 model whose heads, biases and norms all matter."""
    config, architecture, extra = FAMILIES[family]
    torch.manual_seed(seed)
    model = architecture(config(**{**SHAPE, **extra}))
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = 0.15 * noise if parameter.dim() > 1 else 1 + 0.3 * noise
    return model.eval()
