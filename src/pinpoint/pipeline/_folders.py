"""The folder of a run, found by its settings."""

import hashlib
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.config import RunConfig, of_run
from pinpoint.errors import ConfigError

_LONGEST = 80


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
        return [] if _same(was, becomes) else [f"{key} (was {_short(was)}, now {_short(becomes)})"]

    return differing(before, now, "")


def _same(was: Any, becomes: Any) -> bool:
    """Whether two settings are one; a file that was moved is, since stages go by what is in it."""
    if isinstance(was, list) and isinstance(becomes, list) and len(was) == len(becomes):
        return all(_same(one, other) for one, other in zip(was, becomes, strict=True))
    if isinstance(was, dict) and isinstance(becomes, dict) and was.keys() == becomes.keys():
        return all(_same(one, becomes[name]) for name, one in was.items())
    if was == becomes or not (isinstance(was, str) and isinstance(becomes, str)):
        return bool(was == becomes)
    if not os.path.isabs(becomes) or not os.path.exists(becomes) or os.path.basename(was) != os.path.basename(becomes):
        return False
    return os.path.samefile(was, becomes) if os.path.exists(was) else os.path.isabs(was)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def folder_for(config: RunConfig, out: Path | None, *, fork: bool) -> Path:
    """The folder of a run: the one given, or one of its own under runs/ that a later run with equal settings finds.

    Args:
        config: the settings.
        out: what the user gave.
        fork: copy a folder that was run with other settings instead of refusing it; its finished stages come along.

    Raises:
        ConfigError: the folder was run with other settings.
    """
    if out is None:
        local = Path(os.path.abspath(config.model))
        home = Path("runs") / re.sub(r"[^\w.-]+", "-", local.name if local.exists() else config.model)
        named = sorted(home.glob(f"[0-9]*T*Z-{digest_of(config)}"))
        # A stage done alone in it may have written other settings since.
        earlier = [folder for folder in named if not changed_keys(config, folder)]
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
    copied = copy_of(out, config)
    if not copied.exists():
        with Workspace(copied.parent).folder(copied.name) as partial:
            shutil.copytree(out, partial, dirs_exist_ok=True)
            # A stage may be all that is done in it, or a comparison, which do not write the settings.
            Workspace(partial).write_text("config.yaml", config.to_yaml())
    return copied


def copy_of(out: Path, config: RunConfig) -> Path:
    """Where --fork copies a folder to that was run with other settings than these."""
    named = Path(os.path.abspath(out))  # "." and ".." have no name
    return named.with_name(f"{named.name}-{digest_of(config)}")
