"""Reading settings: files, layers of them, and every bad key in one message."""

import difflib
import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from pinpoint.config._run import RunConfig
from pinpoint.config._user import UserBehaviourConfig
from pinpoint.errors import ConfigError, first_line

NO_YAML = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What loading YAML raises: beside its own errors those of making dates, numbers and truth values of bad text."""

_FORM = "Write `key: value` lines, sections indented by spaces."


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which the first would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                problem = f"{key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class Layer(NamedTuple):
    """Settings from one source: a file, a variable, the command line."""

    source: str
    settings: dict[str, Any]


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the settings of `over` on top, section by section."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def read_settings(path: Path) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        ConfigError: no such file, not YAML, or not a mapping; names file and line.
    """
    try:
        loaded = _Loader(path.read_text(encoding="utf-8")).get_single_data()
        json.dumps(loaded, default=str, skipkeys=True)  # anchors can make a value that holds itself
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ConfigError(f"{reason}.", where=str(path), mend="Give a YAML file.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"not YAML: {error.problem}.", where=f"{path}:{line}", mend=_FORM) from error
    except NO_YAML as error:
        raise ConfigError(
            f"not YAML: {first_line(str(error)) or 'a value of the wrong form'}.", where=str(path), mend=_FORM
        ) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError("holds no mapping of settings.", where=str(path), mend="Write `key: value` lines.")
    return loaded


def parse_config(settings: dict[str, Any], where: str, layers: Sequence[Layer] = ()) -> RunConfig:
    """Checks settings and fills in the defaults.

    Args:
        settings: all of them.
        where: where they come from, for messages.
        layers: what they were put together from, the later over the earlier: a bad key is told with its own source.

    Raises:
        ConfigError: names every bad key at once, with the nearest known name of an unknown one.
    """
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for detail in error.errors():
            location = _keys(detail["loc"])
            told = problems.setdefault(_source_of(location, layers, where), [])
            told.append(_problem(location, detail["type"], detail["msg"]))
        first, *others = (f"{source}: {'; '.join(dict.fromkeys(told))}." for source, told in problems.items())
        mend = "`pinpoint config MODEL` shows all settings with their values."
        where = next(iter(problems))
        raise ConfigError(" ".join([first.removeprefix(f"{where}: "), *others]), where=where, mend=mend) from error


def _keys(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    if location[:1] == ("behaviour",):
        return location[0], *location[2:]  # which of the two kinds is no key
    return location


def _source_of(location: tuple[int | str, ...], layers: Sequence[Layer], otherwise: str) -> str:
    """The last source that sets a key, or else the section that it is missing from."""
    most, source = 1, otherwise
    for layer in layers:
        depth: int = 0
        inner: Any = layer.settings
        while depth < len(location) and isinstance(inner, dict) and location[depth] in inner:
            inner, depth = inner[location[depth]], depth + 1
        if depth >= most:
            most, source = depth, layer.source
    return source


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(map(str, location))
    if kind != "extra_forbidden":
        message = message.removeprefix("Value error, ").rstrip(".")
        return f"{key}: {message[0].lower()}{message[1:]}"
    near = difflib.get_close_matches(str(location[-1]), _names(RunConfig) + _names(UserBehaviourConfig), n=1)
    return f"unknown setting {key!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _names(config: type[BaseModel]) -> list[str]:
    names = []
    for name, field in config.model_fields.items():
        names.append(name)
        if isinstance(field.default, BaseModel):
            names += list(type(field.default).model_fields)
    return names
