"""DeepSeek's latent attention: heads are up-projected from shared latents; the out projection is an ordinary one."""

from transformers import PretrainedConfig

from pinpoint.models._layout import Layout, one_each
from pinpoint.models._qkv import Projections, latent


def _projections(config: PretrainedConfig) -> Projections:
    query = "q_proj" if config.q_lora_rank is None else "q_b_proj"
    return Projections(query, "kv_b_proj", "kv_b_proj", latent)


DEEPSEEK = Layout(
    model_types=("deepseek_v2", "deepseek_v3", "glm4_moe_lite"),
    projections=_projections,
    kv_heads=one_each,
    notes="latent attention: a head's up-projections are its own, the latents are shared",
)
