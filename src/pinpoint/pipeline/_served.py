"""What of a run stands for its tuned model, and what it is merged into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from pinpoint.config import DeviceMap, RunConfig
from pinpoint.models import Loaded, is_quantised, load, quantisation
from pinpoint.pipeline._inspect import read_config

if TYPE_CHECKING:
    from pinpoint.artifacts import Workspace
    from pinpoint.pipeline._run import Run


def served(space: Workspace) -> Path:
    """The merged model; where the base is quantised, the adapter, which is what was trained on that base."""
    quantised = space.has("tune.json") and "quantised" in space.read_json("tune.json")
    return space.path("adapter" if quantised else "merged")


def whole_base(config: RunConfig, device: str, device_map: DeviceMap) -> Loaded:
    """The base that is not quantised, which may be larger than the device."""
    return load(
        config.model,
        config.dtype,
        device,
        config.revision,
        device_map,
        trust_remote_code=config.trust_remote_code,
    )


def unquantised(run: Run) -> Callable[[], PreTrainedModel] | None:
    """Loads the weights that a quantised base was made of, block by block as they are needed.

    Returns:
        None where the base is not quantised, or the checkpoint itself is.
    """
    if not is_quantised(run.model):
        return None
    config = run.config
    if quantisation(read_config(config.model, config.revision, config.trust_remote_code)):
        return None
    return lambda: whole_base(config, "cpu", "disk").model


def quantised_in(run: Run) -> str:
    """How the base is quantised, in words."""
    bits = run.config.bits
    return f"{bits} bits" if bits is not None else quantisation(run.model.config)
