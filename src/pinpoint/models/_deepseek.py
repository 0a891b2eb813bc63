"""DeepSeek's latent attention: heads are up-projected from shared latents; the out projection is an ordinary one."""

from dataclasses import replace

from transformers import PretrainedConfig

from pinpoint.models._layout import Layout, one_each
from pinpoint.models._qkv import Projections, latent


def _projections(config: PretrainedConfig) -> Projections:
    query = "q_proj" if getattr(config, "q_lora_rank", None) is None else "q_b_proj"
    return Projections(query, "kv_b_proj", "kv_b_proj", latent)


DEEPSEEK = Layout(
    model_types=("axk1", "deepseek_v2", "deepseek_v3", "glm4_moe_lite", "minicpm3", "mistral4", "youtu"),
    projections=_projections,
    kv_heads=one_each,
    notes="latent attention: a head's up-projections are its own, the latents are shared",
)
# What goes on from a cache would need one that keeps the keys of the indexer too.
DEEPSEEK_SPARSE = replace(
    DEEPSEEK,
    model_types=("deepseek_v32",),
    shares_prefix=False,
    notes=f"{DEEPSEEK.notes}; an indexer chooses the positions that all heads look at",
)
# Blocks of linear attention keep it where others keep theirs; it too has an out projection.
DEEPSEEK_HYBRID = replace(
    DEEPSEEK,
    model_types=("bailing_hybrid", "kimi_linear"),
    mixer_mark="forget_gate",
    shares_prefix=False,
    notes=f"{DEEPSEEK.notes}; linear attention stays frozen",
)
