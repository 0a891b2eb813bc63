"""Putting a run's settings together: the model's own, then a file's, then what was typed."""

from pathlib import Path
from typing import Any

from pinpoint.config import RunConfig, merge, parse_config, read_settings
from pinpoint.errors import ConfigError, InputError

MODEL_SETTINGS = "pinpoint.yaml"


def _anchored(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes relative paths of files count from `folder`."""
    anchored = dict(settings)
    data = anchored.get("data")
    if isinstance(data, dict):
        anchored["data"] = {key: str((folder / value).resolve()) if value else value for key, value in data.items()}
    full = anchored.get("full")
    if isinstance(full, dict) and full.get("search"):
        anchored["full"] = full | {"search": str((folder / full["search"]).resolve())}
    return anchored


def resolve(model: str, config: Path | None, typed: dict[str, Any]) -> RunConfig:
    """The settings of a run: defaults < `pinpoint.yaml` in the model's folder < a file < what was typed.

    Args:
        model: a local folder or a Hub id.
        config: a YAML file, or None.
        typed: settings given on the command line.

    Raises:
        ConfigError: a key is unknown or a value out of range, wherever it was set.
        InputError: there are no questions for this model.
    """
    settings: dict[str, Any] = {}
    sources = []
    beside = Path(model) / MODEL_SETTINGS
    for path in filter(None, (beside if beside.is_file() else None, config)):
        settings = merge(settings, _anchored(read_settings(path), path.parent))
        sources.append(str(path))
    settings = merge(settings, {**typed, "model": model})
    resolved = parse_config(settings, ", ".join(sources) or "settings")
    if not Path(resolved.data.questions).exists():
        raise InputError(
            "no questions are given for this model.",
            where="data.questions",
            mend="Give a file of questions, or a published set, with --questions; docs/usage.md shows the forms.",
        )
    return resolved


def of_run(folder: Path) -> RunConfig:
    """The settings of an existing run folder.

    Raises:
        ConfigError: the folder holds no run.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError("holds no run.", where=str(folder), mend="Start one with `pinpoint run MODEL --out DIR`.")
    return parse_config(read_settings(path), str(path))
