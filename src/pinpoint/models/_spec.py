"""A model seen through its layout."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import NoReturn

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from pinpoint.errors import ArchitectureError, InputError
from pinpoint.heads import Head
from pinpoint.models._context import other_positions_beyond
from pinpoint.models._layout import Layout
from pinpoint.models._qkv import PARTS, Sizes, Which, features, latent
from pinpoint.models._routers import Router, routers_of
from pinpoint.nodes import Kind, Node, head_or_group


@dataclass(frozen=True)
class HeadedModel:
    """A model seen through its layout: the only view of modules that the rest of pinpoint has."""

    model: PreTrainedModel
    layout: Layout

    @cached_property
    def config(self) -> PretrainedConfig:
        """The config of the text decoder."""
        config: PretrainedConfig = self.model.config.get_text_config(decoder=True)
        return config

    @property
    def positions_by_length(self) -> bool:
        """Whether the position embeddings of every row of a pass depend on the longest one."""
        return other_positions_beyond(self.config) is not None

    @property
    def shares_prefix(self) -> bool:
        """Whether two prompts that begin alike can go on from one cache of what they share."""
        return self.layout.shares_prefix and not self.positions_by_length

    @cached_property
    def layers(self) -> list[nn.Module]:
        """The blocks, from the first to the last."""
        return list(attrgetter(self.layout.layers)(self.model))

    @property
    def backbone(self) -> nn.Module:
        """The decoder without its unembedding."""
        module: nn.Module = attrgetter(self.layout.backbone)(self.model)
        return module

    @cached_property
    def tail(self) -> list[nn.Module]:
        """What the backbone does after the last block, in order."""
        modules = [attrgetter(name)(self.model) for name in self.layout.tail]
        return [module for module in modules if module is not None]

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return len(self.layers)

    @cached_property
    def n_heads(self) -> int:
        """Attention heads in a block."""
        return int(self.config.num_attention_heads)

    @cached_property
    def n_kv_heads(self) -> int:
        """Key/value heads in a block; fewer than `n_heads` under grouped-query attention."""
        return self.layout.kv_heads(self.config)

    @cached_property
    def attention_layers(self) -> list[int]:
        """The blocks that have attention heads; all but in hybrids."""
        return [i for i, block in enumerate(self.layers) if self._has_heads(self._in_attentions_place(block))]

    def _has_heads(self, module: nn.Module | None) -> bool:
        mark = self.layout.mixer_mark
        if module is None or not mark:
            return module is not None
        return hasattr(module, self.layout.out_proj) and not hasattr(module, mark)

    def _in_attentions_place(self, block: nn.Module) -> nn.Module | None:
        try:
            return block.get_submodule(self.layout.attention)
        except AttributeError:
            return None

    def heads(self) -> Iterator[Head]:
        """Every head, layer by layer."""
        return (Head(layer, head) for layer in self.attention_layers for head in range(self.n_heads))

    def check(self, heads: Iterable[Head]) -> None:
        """Refuses heads that the model does not have.

        Raises:
            InputError: names the first of them.
        """
        for head in heads:
            if head.layer not in self.attention_layers or not 0 <= head.head < self.n_heads:
                layers = f"layers {', '.join(map(str, self.attention_layers))}"
                if len(self.attention_layers) == self.n_layers:
                    layers = f"layers 0..{self.n_layers - 1}"
                raise InputError(
                    f"{head} is not a head of this model.",
                    mend=f"It has {layers} with heads 0..{self.n_heads - 1}.",
                )

    def heads_of(self, names: Iterable[str]) -> list[Head]:
        """The heads that names stand for, each once: "L3.H5" is one, "L3.G1" all that share a key/value head.

        Raises:
            InputError: a name is of neither form, or the model has no such head or group.
        """
        per, found = self.n_heads // self.n_kv_heads, list[Head]()
        for node in map(head_or_group, names):
            if node.kind == "groups" and node.unit >= self.n_kv_heads:
                raise InputError(
                    f"{node} is not a group of this model.", mend=f"It has groups 0..{self.n_kv_heads - 1}."
                )
            units = range(node.unit * per, (node.unit + 1) * per) if node.kind == "groups" else [node.unit]
            found += [Head(node.layer, unit) for unit in units]
        self.check(found)
        return list(dict.fromkeys(found))

    @cached_property
    def head_dim(self) -> int:
        """Width of one head's slice of the out projection's input."""
        return features(self.out_proj(self.attention_layers[0]))[0] // self.n_heads

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        # What is fetched when it runs is on no device meanwhile; its hook moves the inputs.
        there = (parameter.device for parameter in self.model.parameters() if not parameter.is_meta)
        return next(there, self.model.device)

    def attention(self, layer: int) -> nn.Module:
        """The attention module of a block."""
        module: nn.Module = attrgetter(self.layout.attention)(self.layers[layer])
        return module

    def out_proj(self, layer: int) -> nn.Module:
        """The out projection of a block; its input is the heads' outputs z, side by side."""
        module: nn.Module = attrgetter(self.layout.out_proj)(self.attention(layer))
        return module

    def out_projs(self) -> dict[int, nn.Module]:
        """The out projections of all blocks that have heads."""
        return {layer: self.out_proj(layer) for layer in self.attention_layers}

    def mixers(self, layer: int) -> dict[str, nn.Module]:
        """The modules of a block that mix positions and have no heads, by name."""
        block, mark = self.layers[layer], self.layout.mixer_mark
        found = {name: getattr(block, name) for name in self.layout.mixers if getattr(block, name, None) is not None}
        placed = self._in_attentions_place(block)
        if placed is not None and mark and hasattr(placed, mark):
            found[self.layout.attention] = placed
        return found

    @cached_property
    def routers(self) -> dict[tuple[int, str], Router]:
        """The routers of all blocks, by layer and name; none without experts."""
        return {(i, name): router for i, block in enumerate(self.layers) for name, router in routers_of(block).items()}

    def feed_forward(self, layer: int) -> dict[str, nn.Module]:
        """The modules of a block that hold matrices and are neither attention nor mixer, by full name, in order."""
        mixing = {*self.layout.mixers, *self.mixers(layer)}
        if layer in self.attention_layers or not self.layout.mixer_mark:
            mixing.add(self.layout.attention.split(".")[0])
        return {
            f"{self.layout.layers}.{layer}.{name}": module
            for name, module in self.layers[layer].named_children()
            if name not in mixing and any(tensor.ndim > 1 for tensor in (*module.parameters(), *module.buffers()))
        }

    def mlp_outputs(self, layer: int) -> dict[str, nn.Module]:
        """The modules of a block whose outputs, put to other values, put the MLP's contribution to other values."""
        names = self.layout.mlp_outputs
        return {name: attrgetter(name)(self.layers[layer]) for name in names} if names else self.feed_forward(layer)

    def nodes(self, kinds: Iterable[Kind]) -> list[Node]:
        """Every node of these kinds, kind by kind, layer by layer. Layers without an MLP of their own have none."""
        each = {"heads": self.n_heads, "groups": self.n_kv_heads, "attention": 1, "mlps": 1}
        return [
            Node(kind, layer, unit)
            for kind in kinds
            for layer in (self._with_mlp if kind == "mlps" else self.attention_layers)
            for unit in range(each[kind])
        ]

    @property
    def _with_mlp(self) -> list[int]:
        return [layer for layer in range(self.n_layers) if self.mlp_outputs(layer)]

    def columns(self, node: Node) -> slice:
        """The columns of the out projection's input that are a node's: a head's, a group's, or all."""
        heads = {"heads": 1, "groups": self.n_heads // self.n_kv_heads, "attention": self.n_heads}[node.kind]
        width = heads * self.head_dim
        return slice(node.unit * width, (node.unit + 1) * width)

    def projection_slice(self, layer: int, which: str, unit: int) -> tuple[str, range]:
        """One head's part of a projection.

        Args:
            layer: the block.
            which: "q", "k", "v" or "o".
            unit: the head; for "k" and "v" the key/value head.

        Returns:
            Full name of the projection's module, and the outputs (for "o": the inputs) that are the head's.
        """
        if which == "o":
            name, width = self.layout.out_proj, self.head_dim
            return self._full_name(layer, name), range(unit * width, (unit + 1) * width)
        part = PARTS[which]
        config = self.config
        projections = self.layout.projections(config)
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        sizes = Sizes(self.n_heads, self.n_kv_heads, width, config)
        return self._full_name(layer, getattr(projections, part)), projections.rows(part, unit, sizes)

    def check_places(self) -> None:
        """Looks for everything that the layout names.

        Raises:
            ArchitectureError: something is not there; names it.
        """
        layout = self.layout
        self._there(self.model, layout.backbone, layout.layers, *layout.tail)
        if not self.layers or not self.attention_layers:
            self._missing(layout.attention, f"any block of {layout.layers}")
        first = self.attention_layers[0]
        self._there(self.layers[first], layout.attention, *layout.mlp_outputs)
        for layer in self.attention_layers:
            self._there(self.attention(layer), layout.out_proj)
            if features(self.out_proj(layer))[0] != features(self.out_proj(first))[0]:
                self._missing(f"heads as wide as those of block {first}", f"block {layer}")
        if features(self.out_proj(first))[0] % self.n_heads:
            self._missing(f"{self.n_heads} heads side by side", f"the inputs of {layout.out_proj}")
        projections = layout.projections(self.config)
        self._there(self.attention(first), *(getattr(projections, part) for part in PARTS.values()))
        for which, units in (("q", self.n_heads), ("k", self.n_kv_heads), ("v", self.n_kv_heads)):
            name, rows = self.projection_slice(first, which, units - 1)
            if rows.stop > features(self.model.get_submodule(name))[1]:
                self._missing(f"{units} heads of {which}, {len(rows)} wide", f"the outputs of {name}")

    def _there(self, module: nn.Module, *names: str) -> None:
        for name in names:
            try:
                attrgetter(name)(module)
            except AttributeError:
                self._missing(name, type(module).__name__)

    def _missing(self, what: str, where: str) -> NoReturn:
        raise ArchitectureError(
            f"the layout of {self.model.config.model_type!r} names what is not there: no {what} in {where}.",
            where=type(self.model).__name__,
            mend="Look for the right name with model.named_modules().",
        )

    def projection_parts(self, layer: int) -> dict[str, dict[Which, list[int]]]:
        """The modules that queries, keys and values come from, and which of their outputs are which.

        Raises:
            ArchitectureError: heads share parts of their keys (latent attention).
        """
        if self.layout.projections(self.config).rows is latent:
            raise ArchitectureError(
                f"of model_type {self.model.config.model_type!r}, keys hold a part that is made beside the projections "
                "and that all heads share: no one head's queries, keys or values can be exchanged alone.",
                where=type(self.model).__name__,
                mend="Score paths of a model whose heads have q, k and v projections; path patching to the logits "
                "knows this one.",
            )
        units = {"q": self.n_heads, "k": self.n_kv_heads, "v": self.n_kv_heads}
        parts: dict[str, dict[Which, list[int]]] = {}
        for which, part in PARTS.items():
            for unit in range(units[which]):
                name, rows = self.projection_slice(layer, which, unit)
                parts.setdefault(name, {}).setdefault(part, []).extend(rows)
        return parts

    def _full_name(self, layer: int, name: str) -> str:
        return ".".join((self.layout.layers, str(layer), self.layout.attention, name))
