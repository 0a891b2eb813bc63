"""Training of a copy that torch's FSDP2 splits over processes, each of which holds a part of every weight of it.

The model itself stays whole in every process: checks, and whatever is saved, see it and nothing of the parts.
"""

import copy
from pathlib import Path
from typing import Any, TypeVar

import torch
from peft import PeftModel
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from pinpoint.errors import ConfigError
from pinpoint.processes import Processes

Model = TypeVar("Model", bound=PreTrainedModel | PeftModel)


def split_copy(model: Model) -> Model:
    """A copy for the trainer to split. Its weights lie in the host's memory: it goes to the device in parts.

    Raises:
        ConfigError: a hook edits the gradient of a weight, as in LoRA within head slices; the parts would go without.
    """
    kept = {id(one): one for one in model.parameters()}
    if any(one._backward_hooks for one in kept.values()):
        raise ConfigError(
            "weights whose gradients are edited cannot be split over processes by FSDP.",
            where="tuning",
            mend="Launch with torchrun.",
        )
    weights = {key: nn.Parameter(one.detach().to("cpu", copy=True), one.requires_grad) for key, one in kept.items()}
    return copy.deepcopy(model, dict[int, Any](weights))


def take_back(model: nn.Module, trained: nn.Module) -> None:
    """Sets what trains of a model to what the copy has become. All processes take part, and all get all of it."""
    if model is trained:
        return
    with torch.no_grad():
        for whole, part in zip(model.parameters(), trained.parameters(), strict=True):
            if whole.requires_grad:
                whole.copy_(part.full_tensor() if isinstance(part, DTensor) else part)


def check_split(trainer: Any, processes: Processes) -> None:
    """Accelerate splits the model that it trains where, and only where, the processes were told so.

    Raises:
        ConfigError: it does not.
    """
    if bool(trainer.is_fsdp_enabled) != processes.split:
        raise ConfigError(
            f"accelerate {'splits' if trainer.is_fsdp_enabled else 'does not split'} the model over processes (FSDP), "
            "other than it was started to.",
            where="tuning",
            mend="Hand over, as processes, what pinpoint.processes.join() gave before anything else was done.",
        )


def check_kind(checkpoint: Path, processes: Processes) -> None:
    """A checkpoint is gone on from as it was written: of a split model, or of a whole one.

    Raises:
        ConfigError: it was written the other way.
    """
    if any(checkpoint.glob("pytorch_model_fsdp*")) != processes.split:
        begun, other = ("without", "with") if processes.split else ("with", "without")
        raise ConfigError(
            f"training was begun {begun} FSDP, and cannot go on {other} it.",
            where=str(checkpoint),
            mend="Launch as before, or delete the folder to train from the beginning.",
        )
