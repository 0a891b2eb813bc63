"""What every stage takes on each device."""

import torch
from pydantic import BaseModel, ConfigDict

from pinpoint.config import RunConfig
from pinpoint.models import HeadedModel, kept_packed
from pinpoint.pipeline._devices import Device, devices, flop_rate
from pinpoint.pipeline._estimate import Cost, Workload, full_cost, locate_cost, tune_cost
from pinpoint.pipeline._estimate_passes import Items, evaluated, pass_flops, passes_cost, verified

_MENDS = {
    "locate": "lower locate.batch_size or locate.rows_per_chunk",
    "verify": "lower verify.batch_size",
    "tune": "lower tune.micro_batch_size",
    "tune_full": "leave it out (full: null), lower full.micro_batch_size",
    "evaluate": "lower evaluate.batch_size",
}


class Estimate(BaseModel):
    """What a stage takes on one device; an estimate, not a promise.

    Attributes:
        stage: which.
        device: where.
        passes: its operations, in forward passes over a prompt.
        bytes: peak memory, weights included.
        seconds: time at the rate of a matrix product.
        fits: whether the device has so much memory.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    device: str
    passes: float
    bytes: int
    seconds: float
    fits: bool

    @property
    def crowding(self) -> str:
        """What to do where it does not fit."""
        return f"{self.stage} does not fit on {self.device}: {_MENDS[self.stage]}, or load in a smaller dtype."


def _costs(view: HeadedModel, dtype: torch.dtype, work: Workload, config: RunConfig, items: Items) -> dict[str, Cost]:
    """What each stage takes, in order."""
    found = {
        "locate": locate_cost(view, dtype, work),
        "verify": passes_cost(view, dtype, work, verified(config, work.tokens, items)),
        "tune": tune_cost(view, dtype, work),
    }
    if config.full is not None:
        found["tune_full"] = full_cost(view, dtype, work.trained_by(config.full, config.data.dialogues))
    return found | {"evaluate": passes_cost(view, dtype, work, evaluated(config, work.tokens, items))}


def estimates_of(
    view: HeadedModel, dtype: torch.dtype, work: Workload, settings: RunConfig, items: Items, notes: list[str]
) -> list[Estimate]:
    """What each stage takes on each device at hand.

    Args:
        view: the model, of which shapes alone are looked at.
        dtype: that its weights would be loaded in.
        work: what locating and tuning are to do.
        settings: of the run.
        items: what it is evaluated on.
        notes: is added to.
    """
    found, a_pass = [], pass_flops(view, work.tokens)
    for device in devices(settings.device):
        rate, here = flop_rate(device, dtype), work
        if work.packed is not None and not kept_packed(work.packed.method, device.device):
            here = work._replace(packed=None)
            notes.append(f"on {device.name} its {work.packed.method} weights are unpacked as they are loaded.")
        rates = {} if settings.full is None else {"tune_full": flop_rate(device, torch.float32)}
        for stage, cost in _costs(view, dtype, here, settings, items).items():
            found.append(on_device(device, stage, cost, rates.get(stage, rate), a_pass))
    return found


def on_device(device: Device, stage: str, cost: Cost, rate: float, a_pass: float) -> Estimate:
    """A cost on a device of so many operations a second; `a_pass` has those of a forward pass over a prompt."""
    crowded = device.device.type == "cuda" and cost.bytes >= device.bytes
    taken = cost.bytes - cost.waiting if crowded else cost.bytes
    return Estimate(
        stage=stage,
        device=device.name,
        passes=cost.flops / a_pass,
        bytes=taken,
        seconds=cost.flops / rate,
        fits=taken < device.bytes,
    )
