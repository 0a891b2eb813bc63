"""Ordinary LoRA, over all heads or within the slices of chosen ones: what pinpoint tuning is compared with."""

from collections.abc import Callable, Sequence

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor

from pinpoint.models import HeadedModel
from pinpoint.tune._slices import ADAPTER, Slice


def attach_lora(view: HeadedModel, rank: int) -> PeftModel:
    """LoRA on the query, key, value and out projections of every layer (Hu et al. 2022), scaling 1, no dropout."""
    names = {view.projection_slice(layer, which, 0)[0] for layer in view.attention_layers for which in "qkvo"}
    return _wrap(view, sorted(names), rank)


def attach_head_lora(view: HeadedModel, slices: Sequence[Slice], rank: int) -> PeftModel:
    """LoRA whose change of a projection stays within `slices`: of rank `rank` at most, instead of any change.

    The factor on the side of the slice is 0 outside it and gets no gradient there.
    """
    model = _wrap(view, [piece.module for piece in slices], rank)
    for piece in slices:
        layer = model.get_submodule(f"base_model.model.{piece.module}")
        assert isinstance(layer, LoraLayer)
        name, dim = ("lora_B", 0) if piece.axis == 0 else ("lora_A", 1)
        weight = getattr(layer, name)[ADAPTER].weight
        inside = torch.zeros_like(weight).index_fill_(dim, torch.tensor(piece.indices, device=weight.device), 1.0)
        with torch.no_grad():
            weight.mul_(inside)
        weight.register_hook(_times(inside))
    return model


def _times(mask: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * mask


def _wrap(view: HeadedModel, modules: Sequence[str], rank: int) -> PeftModel:
    config = LoraConfig(
        task_type="CAUSAL_LM", r=rank, lora_alpha=rank, target_modules=list(modules), lora_dropout=0.0, bias="none"
    )
    model: PeftModel = get_peft_model(view.model, config)
    return model
