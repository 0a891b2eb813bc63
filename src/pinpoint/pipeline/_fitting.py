"""What locating and tuning take on each device at hand, and on cards that hold a model together."""

from collections.abc import Callable, Sequence

import torch
from pydantic import BaseModel, ConfigDict

from pinpoint.config import FETCHED_MAPS, RunConfig
from pinpoint.models import HeadedModel, kept_packed
from pinpoint.pipeline._devices import Device, devices, flop_rate
from pinpoint.pipeline._estimate import Cost, Workload, locate_cost, tune_cost, weight_bytes

_STAGES: dict[str, Callable[[HeadedModel, torch.dtype, Workload], Cost]] = {"locate": locate_cost, "tune": tune_cost}


class Estimate(BaseModel):
    """What a stage takes on one device; an estimate, not a promise.

    Attributes:
        stage: locate or tune.
        device: its name; of several cards that hold the model together, each of them.
        bytes: peak memory.
        seconds: time.
        fits: whether so much is free there, below a container's limit too.
    """

    model_config = ConfigDict(frozen=True)

    stage: str
    device: str
    bytes: int
    seconds: float
    fits: bool


def estimates(
    view: HeadedModel, dtype: torch.dtype, work: Workload, settings: RunConfig, notes: list[str]
) -> list[Estimate]:
    """On every device at hand, or the one asked for; on all cards together under a map that spreads the model.

    Where no map is asked for and no card holds the model alone, what `--device-map auto` would come to is told too.

    Args:
        view: the model, without weights.
        dtype: of its weights.
        work: what is to be done.
        settings: of the run, for device and device map.
        notes: takes what a user should know.
    """
    mapped = settings.device_map is not None and settings.device_map not in FETCHED_MAPS
    # Accelerate's maps go over all cards, whatever the device.
    here = devices("auto" if mapped else settings.device)
    cards = [one for one in here if one.device.type == "cuda"]
    if mapped and cards:
        return _told(_on(cards, view, dtype, work, settings, notes), notes)
    found = [one for device in here for one in _on([device], view, dtype, work, settings, notes)]
    if len(cards) > 1 and settings.device_map is None:
        held = {one.stage for one in found if one.fits and one.device in {card.name for card in cards}}
        together = [one for one in _on(cards, view, dtype, work, settings, []) if one.stage not in held]
        found += [one.model_copy(update={"device": f"{one.device}, --device-map auto"}) for one in together]
    return _told(found, notes)


def _on(
    cards: Sequence[Device],
    view: HeadedModel,
    dtype: torch.dtype,
    work: Workload,
    settings: RunConfig,
    notes: list[str],
) -> list[Estimate]:
    """The stages on one device, or on cards over which the layers are spread evenly."""
    name = cards[0].name if len(cards) == 1 else f"each of {len(cards)} cards"
    device, rate = cards[0].device, min(flop_rate(one, dtype) for one in cards)
    host = settings.device_map == "host" and device.type != "cpu"
    work = work._replace(fetched=host or settings.device_map == "disk", mapped=work.mapped and device.type == "cpu")
    if work.packed is not None and not kept_packed(work.packed.method, device):
        notes.append(f"on {name} its {work.packed.method} weights are unpacked as they are loaded.")
        work = work._replace(packed=None)
    room = min(one.bytes for one in cards)
    kept = not host or weight_bytes(view, dtype.itemsize, work.packed) < devices("cpu")[0].bytes
    found = []
    for stage, cost_of in _STAGES.items():
        cost = cost_of(view, dtype, work)
        taken = _taken(cost, len(cards), room if device.type == "cuda" else None)
        seconds, fits = cost.flops / rate, kept and taken < room
        found.append(Estimate(stage=stage, device=name, bytes=taken, seconds=seconds, fits=fits))
    return found


def _taken(cost: Cost, cards: int, room: int | None) -> int:
    """Bytes on each of so many cards; without the rows that wait elsewhere where the room on a card is short."""
    taken = cost.bytes - cost.layered + cost.layered // cards
    return taken if room is None or taken < room else taken - cost.waiting


def _told(found: list[Estimate], notes: list[str]) -> list[Estimate]:
    """The estimates, with a note on each that does not fit."""
    notes += [
        f"{one.stage} does not fit on {one.device}: lower locate.batch_size, locate.rows_per_chunk or "
        "tune.micro_batch_size, load in a smaller dtype or fewer --bits, or choose another --device-map."
        for one in found
        if not one.fits
    ]
    return found
