"""Head slices as an ordinary LoRA with one frozen one-hot factor.

A change of selected rows of W is B A with B one-hot (it picks the rows) and A the change itself; a change of
selected columns is B A with A one-hot. So the slices of chosen heads train, save, load and merge as a plain
PEFT LoRA of rank heads x head_dim and scaling 1.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pinpoint.errors import ConfigError
from pinpoint.heads import Head, HeadSet
from pinpoint.models import HeadedModel

ADAPTER = "default"


class _Selector(nn.Linear):
    """A one-hot factor that picks columns, or puts them in their places, instead of multiplying: the same numbers."""

    def __init__(self, factor: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = factor.in_features, factor.out_features
        self.weight = factor.weight
        self.register_parameter("bias", None)
        self._picks = self.out_features <= self.in_features
        self._indices = self.weight.detach().argmax(dim=1 if self._picks else 0)

    def forward(self, input: Tensor) -> Tensor:
        self._indices = self._indices.to(input.device)
        if self._picks:
            return input.index_select(-1, self._indices)
        places = input.new_zeros(*input.shape[:-1], self.out_features)
        return places.index_copy(-1, self._indices, input)


class Slice(NamedTuple):
    """The part of one projection that belongs to chosen heads."""

    module: str
    axis: int  # 0: rows of the weight (q, k, v); 1: columns (o)
    indices: tuple[int, ...]


def default_projections(view: HeadedModel) -> str:
    """Chen et al. 2024: all four where every head has its own key and value, q and o where they are shared."""
    return "q,k,v,o" if view.n_kv_heads == view.n_heads else "q,o"


def head_slices(view: HeadedModel, heads: Iterable[Head], projections: str) -> list[Slice]:
    """Rows and columns of the projections that belong to `heads`.

    With shared key/value heads, the k and v slices are those of the groups that the heads belong to.

    Raises:
        InputError: a head lies outside the model.
        ConfigError: there are no heads.
    """
    chosen = HeadSet(heads)
    if not chosen:
        raise ConfigError("there are no heads to tune.", where="tune.heads", mend="Choose at least one.")
    view.check(chosen)
    per_group = view.n_heads // view.n_kv_heads
    indices: dict[tuple[str, int], list[int]] = {}
    for layer, members in chosen.by_layer().items():
        for which in projections.split(","):
            for unit in sorted({head // per_group for head in members}) if which in "kv" else members:
                module, rows = view.projection_slice(layer, which, unit)
                indices.setdefault((module, int(which == "o")), []).extend(rows)
    return [Slice(module, axis, tuple(sorted(found))) for (module, axis), found in indices.items()]


def attach(view: HeadedModel, slices: Sequence[Slice], whole: Sequence[str] = ()) -> PeftModel:
    """Wraps the model so that only `slices` train; its function is unchanged at first.

    The wrapped model shares the base's weights, which stay as they are.

    Args:
        view: the model.
        slices: what trains.
        whole: names of modules that train as a whole besides.
    """
    ranks = {piece.module: len(piece.indices) for piece in slices}
    largest = max(ranks.values())
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=largest,
        lora_alpha=largest,
        rank_pattern=ranks,
        alpha_pattern=ranks,
        target_modules=list(ranks),
        lora_dropout=0.0,
        bias="none",
        modules_to_save=list(whole) or None,
        init_lora_weights=False,
    )
    model = get_peft_model(view.model, config)
    for piece in slices:
        layer = model.get_submodule(f"base_model.model.{piece.module}")
        assert isinstance(layer, LoraLayer)
        materialise(layer)
        a, b = _factors(layer).values()
        selector, delta = (b, a) if piece.axis == 0 else (a, b)
        with torch.no_grad():
            delta.zero_()
            selector.zero_()
            order = torch.arange(len(piece.indices))
            index = torch.tensor(piece.indices)
            selector[(index, order) if piece.axis == 0 else (order, index)] = 1.0
    freeze_selectors(model)
    return model


def materialise(layer: LoraLayer) -> None:
    """Makes real factors beside a weight that is fetched as it is needed, where PEFT makes none."""
    for factors in (layer.lora_A, layer.lora_B):
        if factors[ADAPTER].weight.is_meta:
            base: Any = layer.get_base_layer()
            factors[ADAPTER].to_empty(device=base._hf_hook.execution_device)


def _factors(layer: LoraLayer) -> dict[str, nn.Parameter]:
    return {name: getattr(layer, name)[ADAPTER].weight for name in ("lora_A", "lora_B")}


def _is_selector(weight: Tensor) -> bool:
    """One-hot along its rank axis: every entry 0 or 1, one 1 for each rank."""
    return bool(((weight == 0) | (weight == 1)).all()) and int(weight.sum()) == min(weight.shape)


def freeze_selectors(model: PeftModel) -> list[nn.Parameter]:
    """Freezes the one-hot factors; PEFT does not save which they are, so a reload has to do it again.

    Returns:
        The frozen factors.

    Raises:
        ConfigError: an adapted module has no one-hot factor: the adapter holds no head slices.
    """
    frozen = []
    for name, layer in model.named_modules():
        if not isinstance(layer, LoraLayer) or ADAPTER not in layer.lora_A:
            continue
        factors = _factors(layer)
        which = next((key for key in ("lora_B", "lora_A") if _is_selector(factors[key])), None)
        if which is None:
            raise ConfigError(
                "the adapter has no one-hot factor here, so it does not hold head slices.",
                where=name,
                mend="Continue training only with an adapter that `pinpoint tune` wrote.",
            )
        layer.frozen_peft_weight_names = {ADAPTER: (which,)}
        for key, factor in factors.items():
            factor.requires_grad_(key != which)
        linear = getattr(layer, which)
        linear[ADAPTER] = _Selector(linear[ADAPTER])
        frozen.append(factors[which])
    return frozen
