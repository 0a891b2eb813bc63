"""Files of data that settings name by their addresses."""

from pathlib import Path

from pinpoint.addresses import fetched, is_remote
from pinpoint.config._run import RunConfig


def with_files_fetched(config: RunConfig) -> RunConfig:
    """The settings with paths in place of addresses, and the addresses as origins.

    Raises:
        InputError: a file cannot be fetched.
    """
    paths, origins = {}, {}
    for key, value in config.data:
        address = value if isinstance(value, str) and is_remote(value) else config.data.origins.get(key)
        if address is None or not isinstance(value, str):
            continue
        if is_remote(value) or not Path(value).exists():
            paths[key] = str(fetched(address, f"data.{key}"))
        origins[key] = address
    data = config.data.model_copy(update={**paths, "origins": origins})
    return config.model_copy(update={"data": data}) if origins else config
