"""Files of data that settings name by their addresses."""

from pathlib import Path

from pinpoint.addresses import fetched, is_remote
from pinpoint.config._data import DataConfig
from pinpoint.config._run import RunConfig


def with_files_fetched(config: RunConfig) -> RunConfig:
    """The settings with paths in place of addresses, and the addresses as origins.

    Raises:
        InputError: a file cannot be fetched.
    """
    paths, origins = {}, {}
    for key, value in _named(config.data).items():
        address = value if is_remote(value) else config.data.origins.get(key)
        if address is None:
            continue
        if is_remote(value) or not Path(value).exists():
            paths[key] = str(fetched(address, f"data.{key}"))
        origins[key] = address
    if not origins:
        return config
    plain = {key: path for key, path in paths.items() if "." not in key}
    own = {
        role: tuple(one.model_copy(update={"path": paths.get(f"{role}.{i}", one.path)}) for i, one in enumerate(some))
        for role, some in config.data.sources.items()
    }
    data = config.data.model_copy(update={**plain, **own, "origins": origins})
    return config.model_copy(update={"data": data})


def _named(data: DataConfig) -> dict[str, str]:
    """What the settings name that may be an address, by key; `train.0` is the first set of `train`."""
    plain = {key: value for key, value in data if isinstance(value, str)}
    return plain | {f"{role}.{i}": one.path for role, some in data.sources.items() for i, one in enumerate(some)}
