"""Where an architecture keeps its heads: one declarative spec per layout."""

from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Layout:
    """Names of the modules that matter, as attribute paths.

    Attributes:
        model_types: values of `config.model_type` that are laid out so.
        backbone: the decoder without its unembedding, below the model.
        layers: the list of blocks, below the model.
        norm: the final norm, below the model.
        unembed: the logit head, below the model.
        attention: the attention module, below a block.
        q_proj: the query projection, below the attention module; rows of its weight are head slices.
        k_proj: the key projection; rows are key/value-head slices.
        v_proj: the value projection; rows are key/value-head slices.
        out_proj: the out projection; columns of its weight are head slices.
    """

    model_types: tuple[str, ...]
    backbone: str
    layers: str
    norm: str
    unembed: str
    attention: str
    q_proj: str
    k_proj: str
    v_proj: str
    out_proj: str


@dataclass(frozen=True)
class HeadedModel:
    """A model seen through its layout: the only view of modules that the rest of pinpoint has."""

    model: PreTrainedModel
    layout: Layout

    @cached_property
    def layers(self) -> list[nn.Module]:
        """The blocks, from the first to the last."""
        return list(attrgetter(self.layout.layers)(self.model))

    @property
    def backbone(self) -> nn.Module:
        """The decoder without its unembedding."""
        module: nn.Module = attrgetter(self.layout.backbone)(self.model)
        return module

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return len(self.layers)

    @property
    def n_heads(self) -> int:
        """Attention heads in a block."""
        return int(self.model.config.get_text_config().num_attention_heads)

    @property
    def n_kv_heads(self) -> int:
        """Key/value heads in a block; fewer than `n_heads` under grouped-query attention."""
        config = self.model.config.get_text_config()
        return int(getattr(config, "num_key_value_heads", None) or self.n_heads)

    @cached_property
    def head_dim(self) -> int:
        """Width of one head's slice of the out projection's input."""
        return int(self.out_proj(0).in_features) // self.n_heads

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        return self.model.device

    def attention(self, layer: int) -> nn.Module:
        """The attention module of a block."""
        module: nn.Module = attrgetter(self.layout.attention)(self.layers[layer])
        return module

    def out_proj(self, layer: int) -> nn.Linear:
        """The out projection of a block; its input is the heads' outputs z, side by side."""
        module: nn.Linear = attrgetter(self.layout.out_proj)(self.attention(layer))
        return module

    def projection_name(self, layer: int, which: str) -> str:
        """Full module name of the projection `which` ("q", "k", "v" or "o") of a block."""
        name = {"o": "out_proj"}.get(which, f"{which}_proj")
        parts = (self.layout.layers, str(layer), self.layout.attention, getattr(self.layout, name))
        return ".".join(parts)

    def logits(self, hidden: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row vocab"]:
        """Final norm and unembedding of residual rows, by the model's own modules."""
        return self.unembed(attrgetter(self.layout.norm)(self.model)(hidden))

    def unembed(self, normed: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row vocab"]:
        """Logits of rows that went through the final norm (what the backbone puts out), in float32."""
        logits: Tensor = attrgetter(self.layout.unembed)(self.model)(normed)
        return logits.float()
