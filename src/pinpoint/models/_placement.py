"""Where the weights of a model lie: on one device, spread over several, or fetched block by block."""

from collections.abc import Callable, Iterator

import torch
from torch import nn
from transformers import PreTrainedModel

from pinpoint.config import FETCHED_MAPS, SPREAD_MAPS, DeviceMap
from pinpoint.errors import InputError
from pinpoint.models._registry import headed

# Where blocks are kept while they do not run. The other maps are accelerate's own.
_KEPT = dict(zip(FETCHED_MAPS, ("cpu", "disk"), strict=True))


def placed(blank: Callable[[], PreTrainedModel], device: str, device_map: DeviceMap) -> str | dict[str, int | str]:
    """The device map that `from_pretrained` understands.

    Args:
        blank: makes the model without its weights.
        device: where blocks run that are fetched, and where everything else lies.
        device_map: see `pinpoint.load`.

    Raises:
        InputError: the device map is unknown.
    """
    if isinstance(device_map, str) and device_map not in (*FETCHED_MAPS, *SPREAD_MAPS):
        raise InputError(
            f"device map {device_map!r} is unknown.",
            where="device_map",
            mend=f"Use one of {', '.join((*FETCHED_MAPS, *SPREAD_MAPS))}, or a mapping of module names to devices.",
        )
    if isinstance(device_map, str) and device_map in _KEPT:
        device_map = _blocks_apart(blank, device, _KEPT[device_map])
    return device_map if isinstance(device_map, str) else dict(device_map)


def _blocks_apart(blank: Callable[[], PreTrainedModel], device: str, blocks: str) -> dict[str, int | str]:
    """Every block in one place, and all else on the device."""
    with torch.device("meta"):
        view = headed(blank())
    path = view.layout.layers

    def walk(module: nn.Module, name: str) -> Iterator[tuple[str, int | str]]:
        for key, child in [*module.named_children(), *module.named_parameters(recurse=False)]:
            full = f"{name}.{key}".lstrip(".")
            if isinstance(child, nn.Module) and full == path:
                yield from ((f"{full}.{i}", blocks) for i in range(len(view.layers)))
            elif isinstance(child, nn.Module) and path.startswith(f"{full}."):
                yield from walk(child, full)
            else:
                yield full, device

    return dict(walk(view.model, ""))


def is_spread(model: PreTrainedModel) -> bool:
    """Whether some weights are on another device than others, or are fetched as they are needed."""
    places = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    return len(places) > 1 or "disk" in places
