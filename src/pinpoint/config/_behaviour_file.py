"""Reading the YAML file of a user's behaviour."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pinpoint.addresses import is_remote, rooted
from pinpoint.config._read import read_settings
from pinpoint.config._user import UserBehaviourConfig
from pinpoint.errors import ConfigError

_PATHS = ("pairs", "train")
_OF_DATA = ("neutral", "abilities")


def with_behaviour(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings whose section `behaviour` is in full: read from the file that it names, its paths made absolute.

    Args:
        settings: of a file or of the command line.
        folder: what relative paths count from.

    Raises:
        ConfigError: the file cannot be used; names it, the line and the key.
    """
    named = settings.get("behaviour")
    if isinstance(named, str):
        path = folder / named
        section = read_settings(path)
        anchored, data = _anchored(section, path.resolve().parent)
        _check(anchored, path)
    elif isinstance(named, dict) and "name" in named:
        anchored, data = _anchored(named, folder)
    else:
        return settings
    given = settings.get("data") or {}
    # What is no mapping is left for the settings' own check to refuse.
    over = {"data": {**given, **data}} if data and isinstance(given, dict) else {}
    return settings | {"behaviour": anchored} | over


def beside(folder: Path, value: Any) -> Any:
    """A path, or each of several, counted from `folder`; what is none is left as it is."""
    if isinstance(value, str) and is_remote(value):
        return value
    if isinstance(value, dict):
        return {key: beside(folder, one) for key, one in value.items()}
    try:
        return rooted(folder / value) if isinstance(value, str) and value else value
    except ValueError:  # what no file can be called: that it is not there is told where it is looked for
        return value


def _anchored(section: dict[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The section without what belongs to `data`, and that; their paths made absolute."""
    kept = {key: beside(folder, value) if key in (*_PATHS, "evaluation") else value for key, value in section.items()}
    return (
        {key: value for key, value in kept.items() if key not in _OF_DATA},
        {key: beside(folder, section[key]) for key in _OF_DATA if key in section},
    )


def _check(section: dict[str, Any], path: Path) -> None:
    try:
        UserBehaviourConfig.model_validate(section)
    except ValidationError as error:
        top = error.errors()[0]["loc"][:1]
        # Where a value may be a file or several, pydantic tells of both; the longer key is of what was meant.
        first = max((one for one in error.errors() if one["loc"][:1] == top), key=lambda one: len(one["loc"]))
        location = [key for key in first["loc"] if key not in ("str", "SplitFiles")]
        key = ".".join(map(str, location))
        kinds = {"extra_forbidden": "unknown key", "missing": "is missing"}
        message = kinds.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise ConfigError(
            f"{key}: {message}.".replace("..", "."),
            where=f"{path}:{_line_of(path, location)}",
            mend="docs/behaviours.md shows a whole file.",
        ) from error


def _line_of(path: Path, location: list[Any]) -> int:
    """The line of the deepest key of a location that the file has."""
    node = yaml.compose(path.read_text(encoding="utf-8"))
    line = 1
    for wanted in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(wanted)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(wanted, int):
            found = [(one, one) for one in node.value[wanted : wanted + 1]]
        else:
            found = []
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line
