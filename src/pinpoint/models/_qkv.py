"""Which outputs of a query, key or value projection belong to a head, separate or fused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PretrainedConfig

Which = Literal["q", "k", "v"]
PARTS: dict[str, Which] = {"q": "q", "k": "k", "v": "v"}


def features(module: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a projection; GPT-2's Conv1D calls them otherwise."""
    inputs = getattr(module, "in_features", None) or module.nx
    outputs = getattr(module, "out_features", None) or module.nf
    assert isinstance(inputs, int) and isinstance(outputs, int)
    return inputs, outputs


@dataclass(frozen=True)
class Sizes:
    """What the place of a head depends on.

    Attributes:
        heads: query heads of a block.
        groups: key/value heads of a block.
        width: outputs of one query head.
        config: the text decoder's config.
    """

    heads: int
    groups: int
    width: int
    config: PretrainedConfig


Rows = Callable[[Which, int, Sizes], range]


def _slot(slot: int, width: int) -> range:
    return range(slot * width, (slot + 1) * width)


def separate(which: Which, unit: int, sizes: Sizes) -> range:
    """Three projections, heads side by side (Llama)."""
    return _slot(unit, sizes.width)


def gated(which: Which, unit: int, sizes: Sizes) -> range:
    """Three projections; that of the queries also puts out the gate of each head's output, after its query (Qwen3.5).

    The gate closes and opens that head alone: its outputs are the head's.
    """
    return _slot(unit, sizes.width * (2 if which == "q" else 1))


def stacked(which: Which, unit: int, sizes: Sizes) -> range:
    """One projection: all queries, then all keys, then all values (GPT-2, Phi-3)."""
    start = {"q": 0, "k": sizes.heads, "v": sizes.heads + sizes.groups}[which]
    return _slot(start + unit, sizes.width)


def interleaved(which: Which, unit: int, sizes: Sizes) -> range:
    """One projection: query, key and value of the first head, then of the next (GPT-NeoX, BLOOM)."""
    return _slot(3 * unit + "qkv".index(which), sizes.width)


def grouped(which: Which, unit: int, sizes: Sizes) -> range:
    """One projection, group by group: the group's queries, its key, its value (Falcon 40B)."""
    per = sizes.heads // sizes.groups
    if which == "q":
        return _slot(unit // per * (per + 2) + unit % per, sizes.width)
    return _slot(unit * (per + 2) + per + "kv".index(which), sizes.width)


def in_parts(which: Which, unit: int, sizes: Sizes) -> range:
    """One projection in four parts, as it was trained on four devices: queries, values and keys of each (CodeGen)."""
    per = sizes.heads // 4
    part, own = divmod(unit, per)
    return _slot(3 * part * per + "qvk".index(which) * per + own, sizes.width)


def latent(which: Which, unit: int, sizes: Sizes) -> range:
    """Multi-head latent attention: up-projections per head, of key and value in one (DeepSeek).

    The rotary part of the keys is shared by all heads and belongs to none.
    """
    key, value = sizes.config.qk_nope_head_dim, sizes.config.v_head_dim
    if which == "q":
        return _slot(unit, key + sizes.config.qk_rope_head_dim)
    start = unit * (key + value)
    return range(start, start + key) if which == "k" else range(start + key, start + key + value)


@dataclass(frozen=True)
class Projections:
    """Modules of q, k and v below the attention module, and how heads lie in their outputs.

    Attributes:
        q: name of the query projection.
        k: name of the key projection.
        v: name of the value projection; a fused one is named three times.
        rows: gives the outputs of one head, or of one key/value head.
    """

    q: str = "q_proj"
    k: str = "k_proj"
    v: str = "v_proj"
    rows: Rows = separate


def fused(name: str, rows: Rows) -> Projections:
    """All three in one projection."""
    return Projections(name, name, name, rows)
