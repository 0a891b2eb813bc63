"""What every stage takes on each device at hand, and on cards that hold a model together."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict

from pinpoint.config import FETCHED_MAPS, RunConfig
from pinpoint.models import HeadedModel, kept_packed
from pinpoint.pipeline._devices import Device, devices, flop_rate
from pinpoint.pipeline._estimate import Cost, Workload, locate_cost, weight_bytes
from pinpoint.pipeline._estimate_passes import Items, evaluated, pass_flops, passes_cost, verified
from pinpoint.pipeline._estimate_training import full_cost, tune_cost

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
        device: its name; of several cards that hold the model together, each of them.
        passes: its operations, in forward passes over a prompt.
        bytes: peak memory, weights included.
        seconds: time at the rate of a matrix product.
        fits: whether so much is free there, below a container's limit too.
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
        return (
            f"{self.stage} does not fit on {self.device}: {_MENDS[self.stage]}, load in a smaller dtype or fewer "
            "--bits, or choose another --device-map."
        )


class Asked(NamedTuple):
    """What is to be done with a model.

    Attributes:
        view: the model, of which shapes alone are looked at.
        dtype: that its weights would be loaded in.
        work: what locating and tuning are to do.
        settings: of the run.
        items: what it is evaluated on.
    """

    view: HeadedModel
    dtype: torch.dtype
    work: Workload
    settings: RunConfig
    items: Items

    def costs(self, *, copied: bool) -> dict[str, Cost]:
        """What each stage takes, in order; `copied` where there can be another of the model, as full tuning has."""
        view, dtype, work, config, items = self
        found = {
            "locate": locate_cost(view, dtype, work),
            "verify": passes_cost(view, dtype, work, verified(config, work.tokens, items)),
            "tune": tune_cost(view, dtype, work),
        }
        if config.full is not None and copied:
            found["tune_full"] = full_cost(view, dtype, work.trained_by(config.full, config.data.dialogues))
        asked = evaluated(view, config, work, items, copied=copied)
        return found | {"evaluate": passes_cost(view, dtype, work, asked)}


def estimates(asked: Asked, notes: list[str]) -> list[Estimate]:
    """On every device at hand, or the one asked for; on all cards together under a map that spreads the model.

    Where no map is asked for and no card holds the model alone, what `--device-map auto` would come to is told too.

    Args:
        asked: the model and what is to be done.
        notes: takes what a user should know.
    """
    settings = asked.settings
    mapped = settings.device_map is not None and settings.device_map not in FETCHED_MAPS
    # Accelerate's maps go over all cards, whatever the device.
    here = devices("auto" if mapped else settings.device)
    cards = [one for one in here if one.device.type == "cuda"]
    if mapped and cards:
        return _told(_on(cards, asked, notes), notes)
    found = [one for device in here for one in _on([device], asked, notes)]
    if len(cards) > 1 and settings.device_map is None:
        held = {one.stage for one in found if one.fits and one.device in {card.name for card in cards}}
        together = [one for one in _on(cards, asked, []) if one.stage not in held]
        found += [one.model_copy(update={"device": f"{one.device}, --device-map auto"}) for one in together]
    return _told(found, notes)


def _on(cards: Sequence[Device], asked: Asked, notes: list[str]) -> list[Estimate]:
    """The stages on one device, or on cards over which the layers are spread evenly."""
    view, dtype, work, settings, _ = asked
    name = cards[0].name if len(cards) == 1 else f"each of {len(cards)} cards"
    device = cards[0].device
    host = settings.device_map == "host" and device.type != "cpu"
    work = work._replace(fetched=host or settings.device_map == "disk", mapped=work.mapped and device.type == "cpu")
    if work.packed is not None and not kept_packed(work.packed.method, device):
        notes.append(f"on {name} its {work.packed.method} weights are unpacked as they are loaded.")
        work = work._replace(packed=None)
    copied = len(cards) == 1 and not work.fetched and work.packed is None
    if settings.full is not None and not copied:
        notes.append(
            f"tune_full cannot run on {name}: it takes a copy of a whole model that is not quantised, on one device. "
            "Leave it out (full: null), or --bits and --device-map."
        )
    costs = asked._replace(work=work).costs(copied=copied)
    room = min(one.bytes for one in cards)
    kept = not host or weight_bytes(view, dtype.itemsize, work.packed) < devices("cpu")[0].bytes
    rate, a_pass = min(flop_rate(one, dtype) for one in cards), pass_flops(view, work.tokens)
    rates = {"tune_full": min(flop_rate(one, torch.float32) for one in cards)} if "tune_full" in costs else {}
    found = []
    for stage, cost in costs.items():
        taken = _taken(cost, len(cards), room if device.type == "cuda" else None)
        counted = {"passes": cost.flops / a_pass, "bytes": taken, "seconds": cost.flops / rates.get(stage, rate)}
        found.append(Estimate(stage=stage, device=name, fits=kept and taken < room, **counted))
    return found


def _taken(cost: Cost, cards: int, room: int | None) -> int:
    """Bytes on each of so many cards; without the rows that wait elsewhere where the room on a card is short."""
    taken = cost.bytes - cost.layered + cost.layered // cards
    return taken if room is None or taken < room else taken - cost.waiting


def _told(found: list[Estimate], notes: list[str]) -> list[Estimate]:
    """The estimates, with a note on each that does not fit."""
    notes += [one.crowding for one in found if not one.fits]
    return found
