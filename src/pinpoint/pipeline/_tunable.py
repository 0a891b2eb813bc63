"""What has to hold of a model before anything of it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinpoint.errors import ConfigError
from pinpoint.models import is_quantised, is_spread

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


def check_tunable(run: Run) -> None:
    """Refuses to have several processes train one model that is not on one device.

    Raises:
        ConfigError: they would.
    """
    if is_spread(run.model) and run.processes.count > 1:
        raise ConfigError(
            f"{run.config.device_map!r} leaves the model on no single device: one process tunes it.",
            where="device_map",
            mend="Start it without torchrun, or leave device_map out.",
        )


def check_full(run: Run) -> None:
    """Refuses full fine-tuning, where the run has it, of a model that it cannot have a copy of.

    Raises:
        ConfigError: the model is not on one device, or its weights are quantised.
    """
    if run.config.full is not None:
        check_copied(run, "full fine-tuning", "Leave it out (full: null); chosen heads are tuned all the same.")


def check_copied(run: Run, what: str, mend: str) -> None:
    """Refuses what takes a copy of the model whose every weight may change.

    Raises:
        ConfigError: the model is not on one device, or its weights are quantised.
    """
    if is_quantised(run.model):
        raise ConfigError(
            f"{what} changes every weight, which quantised weights do not take.",
            where="bits" if run.config.bits is not None else run.config.model,
            mend=mend,
        )
    if is_spread(run.model):
        raise ConfigError(
            f"{run.config.device_map!r} leaves the model on no single device, and {what} takes a copy of it in float32 "
            "with gradients and two moments of every weight.",
            where="device_map",
            mend=mend,
        )
