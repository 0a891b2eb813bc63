"""Putting a run's settings together: the model's own or the package's, then a file's, then what was typed."""

import os
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from pinpoint.config._behaviour_file import beside, with_behaviour
from pinpoint.config._fetched import with_files_fetched
from pinpoint.config._packaged import anchor_of, packaged_settings, settings_named
from pinpoint.config._question_sources import ROLES
from pinpoint.config._read import NO_YAML, Layer, merge, parse_config, read_settings
from pinpoint.config._run import RunConfig
from pinpoint.config._secrets import refuse_secrets
from pinpoint.errors import ConfigError

MODEL_SETTINGS = "pinpoint.yaml"
_PREFIX = "PINPOINT_"
_OF_QUESTIONS = ("wrong_answers", "explanations")
_OTHER_VARIABLES = {"PINPOINT_OFFLINE", "PINPOINT_TEST_DATA"}


def settings_of(model: str, config: Path | None, typed: dict[str, Any]) -> RunConfig:
    """Defaults < the model's own settings < a file < PINPOINT_* variables < what was typed.

    A model's own are `pinpoint.yaml` in its folder, or, for some of the Hub, those that come with the package.

    Args:
        model: a local folder or a Hub id.
        config: a YAML file, the name of settings that come along, or None.
        typed: settings given on the command line.

    Raises:
        ConfigError: a key is unknown, a value out of range, or a secret, wherever it was set; or the model's own
            settings say that its code may run.
    """
    beside = Path(model) / MODEL_SETTINGS
    own = beside if beside.is_file() else packaged_settings(model)
    layers: list[Layer] = []
    nothing: dict[str, Any] = {}
    for path in filter(None, (own, config and settings_named(config))):
        folder = anchor_of(path)
        found = with_behaviour(_anchored(read_settings(path), folder), folder)
        if path == beside and "trust_remote_code" in found:
            raise ConfigError(
                "a model's own settings cannot say whether its code may run.",
                where=f"{path}: trust_remote_code",
                mend="Take it out there; what you trust, say yourself: --trust-remote-code.",
            )
        layers.append(Layer(str(path), found))
    # Several variables may make up one behaviour.
    variables = _from_environment()
    together = reduce(merge, (one.settings for one in variables), nothing)
    layers.append(Layer(f"{_PREFIX}* variables", with_behaviour(_anchored(together, Path()), Path())))
    layers.append(Layer("command line", with_behaviour(_with_template({**typed, "model": model}, Path()), Path())))
    refuse_secrets([*variables, *layers])
    settings = reduce(_over, (one.settings for one in layers), nothing)
    return parse_config(settings, "settings", [*layers[:-1], *variables, layers[-1]])


def _over(below: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings on top of others; one behaviour stands in place of another instead of being mixed with it.

    With the other go the wrong answers and explanations that were asked for below: a user's dialogues are given whole.
    Questions without sets of a stage's own stand in place of all that was named below them.
    """
    section, data = settings.get("behaviour"), settings.get("data")
    if isinstance(section, dict) and "name" in section:
        below = {key: value for key, value in below.items() if key != "behaviour"}
        if isinstance(tune := below.get("tune"), dict):
            below |= {"tune": {key: value for key, value in tune.items() if key not in _OF_QUESTIONS}}
    named = below.get("data")
    if isinstance(data, dict) and isinstance(named, dict) and "questions" in data and not data.keys() & set(ROLES):
        below = below | {"data": {key: value for key, value in named.items() if key not in ROLES}}
    return merge(below, settings)


def of_run(folder: Path) -> RunConfig:
    """The settings of an existing run folder.

    Raises:
        ConfigError: the folder holds no run.
        InputError: a file of data is gone and cannot be fetched again.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError("holds no run.", where=str(folder), mend="Start one with `pinpoint run MODEL --out DIR`.")
    return with_files_fetched(parse_config(read_settings(path), str(path)))


def _anchored(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes relative paths of files count from `folder`."""
    anchored = _with_template(settings, folder)
    data = anchored.get("data")
    if isinstance(data, dict):
        anchored["data"] = {key: _placed(folder, key, value) for key, value in data.items()}
    full = anchored.get("full")
    if isinstance(full, dict) and "search" in full:
        anchored["full"] = full | {"search": beside(folder, full["search"])}
    judge = anchored.get("judge")
    if isinstance(judge, dict) and not judge.get("endpoint") and _is_folder(folder, judge.get("model")):
        anchored["judge"] = judge | {"model": beside(folder, judge["model"])}
    return anchored


def _is_folder(folder: Path, name: Any) -> bool:
    return isinstance(name, str) and "\0" not in name and (folder / name).is_dir()


def _with_template(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings with the text of a chat template in place of its file's path, so that a run keeps what it used.

    Raises:
        ConfigError: the file cannot be read.
    """
    named = settings.get("template")
    # What is no path is left for the settings' own check.
    if not isinstance(named, str) or named in ("own", "plain") or "{" in named or "\0" in named:
        return dict(settings)
    try:
        return settings | {"template": (folder / named).read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ConfigError(
            f"{why}: {folder / named}.", where="template", mend="Give own, plain, or the path of a Jinja file."
        ) from error


def _placed(folder: Path, key: str, value: Any) -> Any:
    if key not in ROLES:
        # Names of columns, a mapping, are no paths.
        return value if isinstance(value, dict) else beside(folder, value)
    if isinstance(value, list):
        return [_placed(folder, key, one) for one in value]
    if isinstance(value, dict):
        return value | {"path": beside(folder, value["path"])} if "path" in value else value
    return beside(folder, value)


def _from_environment() -> list[Layer]:
    """Settings in PINPOINT_* variables: PINPOINT_SEED=1, PINPOINT_TUNE__LEARNING_RATE=1e-3. Values are read as YAML.

    Raises:
        ConfigError: a value is not YAML.
    """
    layers = []
    for name, text in sorted(os.environ.items()):
        # Keys of servers are no settings: PINPOINT_JUDGE_KEY, and whatever --key-variable names.
        if not name.startswith(_PREFIX) or name.endswith("_KEY") or name in _OTHER_VARIABLES:
            continue
        try:
            value = yaml.safe_load(text)
        except NO_YAML as error:
            raise ConfigError("is not a value in YAML.", where=name, mend="Put text with signs in quotes.") from error
        if isinstance(value, str):
            value = _number(value)
        for key in reversed(name.removeprefix(_PREFIX).lower().split("__")):
            value = {key: value}
        layers.append(Layer(name, value))
    return layers


def _number(text: str) -> float | str:
    # YAML 1.1 takes 1e-3 for a string.
    try:
        return float(text)
    except ValueError:
        return text
