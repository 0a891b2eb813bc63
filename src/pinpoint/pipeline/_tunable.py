"""What has to hold of a model before anything of it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinpoint.errors import ConfigError
from pinpoint.models import is_spread

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


def check_tunable(run: Run) -> None:
    """Refuses a model that is not on one device.

    Raises:
        ConfigError: it is not.
    """
    if is_spread(run.model):
        raise ConfigError(
            f"{run.config.device_map!r} leaves the model on no single device: it can be located and verified only.",
            where="device_map",
            mend="Leave device_map out, on a device that holds the whole model.",
        )
