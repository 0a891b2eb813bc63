"""Putting a run's settings together: the model's own, then a file's, then what was typed."""

import hashlib
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import behaviour_of
from pinpoint.beyond import FURTHER
from pinpoint.config import NO_YAML, RunConfig, merge, parse_config, read_settings
from pinpoint.data import fetched, is_remote
from pinpoint.errors import ConfigError, InputError
from pinpoint.pipeline._behaviour_file import beside, with_behaviour

MODEL_SETTINGS = "pinpoint.yaml"
ITSELF = "a model must not judge itself."
_PREFIX = "PINPOINT_"
_OTHER_VARIABLES = {"PINPOINT_TEST_DATA"}


def _anchored(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Makes relative paths of files count from `folder`."""
    anchored = dict(settings)
    data = anchored.get("data")
    if isinstance(data, dict):
        # Names of columns, a mapping, are no paths.
        anchored["data"] = {
            key: value if isinstance(value, dict) else beside(folder, value) for key, value in data.items()
        }
    full = anchored.get("full")
    if isinstance(full, dict) and "search" in full:
        anchored["full"] = full | {"search": beside(folder, full["search"])}
    return anchored


def _from_environment() -> dict[str, Any]:
    """Settings in PINPOINT_* variables: PINPOINT_SEED=1, PINPOINT_TUNE__LEARNING_RATE=1e-3. Values are read as YAML.

    Raises:
        ConfigError: a value is not YAML.
    """
    settings: dict[str, Any] = {}
    for name, text in sorted(os.environ.items()):
        # Keys of servers are no settings: PINPOINT_JUDGE_KEY, and whatever --key-variable names.
        if not name.startswith(_PREFIX) or name.endswith("_KEY") or name in _OTHER_VARIABLES:
            continue
        try:
            value = yaml.safe_load(text)
        except NO_YAML as error:
            raise ConfigError("is not a value in YAML.", where=name) from error
        if isinstance(value, str):
            value = _number(value)
        for key in reversed(name.removeprefix(_PREFIX).lower().split("__")):
            value = {key: value}
        settings = merge(settings, value)
    return settings


def _number(text: str) -> float | str:
    # YAML 1.1 takes 1e-3 for a string.
    try:
        return float(text)
    except ValueError:
        return text


def resolve(model: str, config: Path | None, typed: dict[str, Any]) -> RunConfig:
    """The settings of a run, as `settings_of` puts them together, whose files are there.

    Raises:
        ConfigError: a key is unknown or a value out of range, wherever it was set.
        InputError: a file that they name is not there, or cannot be fetched.
    """
    resolved = _with_files_fetched(settings_of(model, config, typed))
    for key, name in behaviour_of(resolved.behaviour).files(resolved.data).items():
        if not Path(name).exists():
            raise InputError(
                f"no such file or folder: {name}.",
                where=key,
                mend="Give questions with --questions, or a behaviour of your own with --behaviour; "
                "docs/usage.md and docs/behaviours.md show the forms.",
            )
    for name in ("abilities", "neutral", *FURTHER):
        path = getattr(resolved.data, name)
        there = Path.exists if name in ("pressure", "sycon") else Path.is_file
        if path is not None and not there(Path(path)):
            raise InputError("no such file.", where=f"data.{name}: {path}", mend="Give a JSONL file, or leave it out.")
    # It is read once training is over: too late to find that it is not there.
    search = resolved.full.search if resolved.full else None
    if search is not None and not Path(search).is_file():
        raise InputError("no such file.", where=f"full.search: {search}", mend="Give a JSON record, or leave it out.")
    _check_judge(resolved)
    return resolved


def _with_files_fetched(config: RunConfig) -> RunConfig:
    """The settings with paths in place of addresses, and the addresses as origins."""
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


def _check_judge(config: RunConfig) -> None:
    judge = config.judge
    if judge.kind != "rules" and not any(getattr(config.data, name) for name in FURTHER):
        raise ConfigError(
            "in a run the judge reads replies to further sets, and none is named.",
            where="judge",
            mend="Name one, such as --pressure FILE; `pinpoint score` judges the transcripts of a run again.",
        )
    if judge.local and _same_model(judge.model or "", config.model):
        raise ConfigError(ITSELF, where="judge.model", mend="Name another model.")


def _same_model(one: str, other: str) -> bool:
    """Whether two names are of one model; those of folders are followed."""
    if Path(one).exists() and Path(other).exists():
        return Path(one).samefile(other)
    return one == other


def settings_of(model: str, config: Path | None, typed: dict[str, Any]) -> RunConfig:
    """Defaults < `pinpoint.yaml` in the model's folder < a file < PINPOINT_* variables < what was typed.

    Args:
        model: a local folder or a Hub id.
        config: a YAML file, or None.
        typed: settings given on the command line.

    Raises:
        ConfigError: a key is unknown or a value out of range, wherever it was set.
    """
    settings: dict[str, Any] = {}
    sources = []
    beside = Path(model) / MODEL_SETTINGS
    for path in filter(None, (beside if beside.is_file() else None, config)):
        settings = _over(settings, with_behaviour(_anchored(read_settings(path), path.parent), path.parent))
        sources.append(str(path))
    environment = _from_environment()
    if environment:
        settings = _over(settings, with_behaviour(environment, Path()))
        sources.append(f"{_PREFIX}* variables")
    settings = _over(settings, with_behaviour({**typed, "model": model}, Path()))
    return parse_config(settings, ", ".join(sources) or "settings")


def _over(below: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings on top of others; one behaviour stands in place of another instead of being mixed with it."""
    section = settings.get("behaviour")
    if isinstance(section, dict) and "name" in section:
        below = {key: value for key, value in below.items() if key != "behaviour"}
    return merge(below, settings)


def digest_of(config: RunConfig) -> str:
    """Eight characters that name the settings of a run."""
    return hashlib.sha256(config.to_yaml().encode()).hexdigest()[:8]


def changed_keys(config: RunConfig, folder: Path) -> list[str]:
    """What differs from the settings of the run in `folder`, each as "key (was X, now Y)"; nothing without a run."""
    if not (folder / "config.yaml").is_file():
        return []
    before, now = of_run(folder).model_dump(mode="json"), config.model_dump(mode="json")

    def differing(was: Any, becomes: Any, key: str) -> list[str]:
        if isinstance(was, dict) and isinstance(becomes, dict):
            return [
                line
                for name in {**was, **becomes}  # another kind of behaviour has other keys
                for line in differing(was.get(name), becomes.get(name), f"{key}.{name}".strip("."))
            ]
        return [] if was == becomes else [f"{key} (was {was}, now {becomes})"]

    return differing(before, now, "")


def folder_for(config: RunConfig, model: str, out: Path | None, *, fork: bool) -> Path:
    """The folder of a run: the one given, or one of its own under runs/ that a later run with equal settings finds.

    Args:
        config: the settings.
        model: the model's name, for the folder's.
        out: what the user gave.
        fork: copy a folder that was run with other settings instead of refusing it; its finished stages come along.

    Raises:
        ConfigError: the folder was run with other settings.
    """
    if out is None:
        home = Path("runs") / re.sub(r"[^\w.-]+", "-", model)
        earlier = sorted(home.glob(f"*-{digest_of(config)}"))
        return earlier[-1] if earlier else home / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{digest_of(config)}"
    changed = changed_keys(config, out)
    if not changed:
        return out
    if not fork:
        raise ConfigError(
            f"the folder was run with other settings: {'; '.join(changed)}.",
            where=str(out),
            mend="Give another folder with --out, or copy what still holds to a new one with --fork.",
        )
    copied = out.with_name(f"{out.name}-{digest_of(config)}")
    if not copied.exists():
        with Workspace(copied.parent).folder(copied.name) as partial:
            shutil.copytree(out, partial, dirs_exist_ok=True)
    return copied


def of_run(folder: Path) -> RunConfig:
    """The settings of an existing run folder.

    Raises:
        ConfigError: the folder holds no run.
        InputError: a file of data is gone and cannot be fetched again.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise ConfigError("holds no run.", where=str(folder), mend="Start one with `pinpoint run MODEL --out DIR`.")
    return _with_files_fetched(parse_config(read_settings(path), str(path)))
