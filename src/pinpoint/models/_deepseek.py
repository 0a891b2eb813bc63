"""DeepSeek's latent attention: heads are up-projected from shared latents; the out projection is an ordinary one."""

from dataclasses import replace

from transformers import PretrainedConfig

from pinpoint.models._layout import Layout, one_each
from pinpoint.models._qkv import Projections, latent


def _projections(config: PretrainedConfig) -> Projections:
    query = "q_proj" if config.q_lora_rank is None else "q_b_proj"
    return Projections(query, "kv_b_proj", "kv_b_proj", latent)


DEEPSEEK = Layout(
    model_types=("deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "youtu"),
    projections=_projections,
    kv_heads=one_each,
    notes="latent attention: a head's up-projections are its own, the latents are shared",
)
# Its attention also puts out which positions it looked at, for the next blocks to look at the same.
GLM_SPARSE = replace(
    DEEPSEEK,
    model_types=("glm_moe_dsa",),
    attention_outputs=3,
    notes=f"{DEEPSEEK.notes}; blocks look at the same few positions",
)
