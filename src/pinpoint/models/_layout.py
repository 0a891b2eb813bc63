"""What a layout says: where an architecture keeps its heads."""

from collections.abc import Callable
from dataclasses import dataclass

from transformers import PretrainedConfig

from pinpoint.models._qkv import Projections


def key_value_heads(config: PretrainedConfig) -> int:
    """Key/value heads of a block, as most configs say it."""
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def one_each(config: PretrainedConfig) -> int:
    """Key/value heads of a block where every head has its own."""
    return int(config.num_attention_heads)


def separate_projections(_config: PretrainedConfig) -> Projections:
    """q_proj, k_proj and v_proj."""
    return Projections()


@dataclass(frozen=True)
class Layout:
    """Names of the modules that matter, as attribute paths, and what a block does that others do not.

    Everything else (norms before and after, parallel blocks, routers, residual scales, soft caps) is done by
    the model's own modules and needs no mention.

    Attributes:
        model_types: values of `config.model_type` that are laid out so.
        backbone: the decoder without its unembedding, below the model.
        layers: the list of blocks, below the model.
        tail: what the backbone does after the last block, in order, below the model; what is None is left out.
        attention: the attention module, below a block.
        out_proj: the out projection, below the attention module; its inputs are the heads' outputs, side by side.
        projections: q, k and v, given the text config.
        kv_heads: key/value heads of a block, given the text config.
        adds_residual: the attention module takes the residual stream as its second argument and adds it.
        mlp_outputs: below a block, the modules whose outputs are what the MLP adds to the residual stream, where the
            MLP adds it itself; empty where whatever holds matrices and is neither attention nor mixer puts it out.
        mixers: other modules of a block that mix positions; they have no heads and stay frozen.
        mixer_outputs: how many things such a module returns; the first is what it adds to the residual stream.
        mixer_mark: where some blocks keep such a module, or an MLP, in attention's place: what it has, and neither
            attention nor an MLP; empty where what is in attention's place is attention.
        shares_prefix: two prompts that begin alike can go on from one cache of what they share.
        notes: what a user should know, for the table of architectures.
    """

    model_types: tuple[str, ...]
    backbone: str = "model"
    layers: str = "model.layers"
    tail: tuple[str, ...] = ("model.norm",)
    attention: str = "self_attn"
    out_proj: str = "o_proj"
    projections: Callable[[PretrainedConfig], Projections] = separate_projections
    kv_heads: Callable[[PretrainedConfig], int] = key_value_heads
    adds_residual: bool = False
    mlp_outputs: tuple[str, ...] = ()
    mixers: tuple[str, ...] = ()
    mixer_outputs: int = 1
    mixer_mark: str = ""
    shares_prefix: bool = True
    notes: str = ""
