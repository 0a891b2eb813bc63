"""Which of a trainer's checkpoints were written to their end."""

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from pinpoint.artifacts import write_whole
from pinpoint.storage import storing

_MARK = "whole.json"


class Saved(NamedTuple):
    """A checkpoint to go on from."""

    step: int
    folder: Path


def keep_only(folder: Path) -> None:
    """Marks a checkpoint as whole, once all of it is on the disk; then the others beside it go.

    Raises:
        StorageError: it does not get there.
    """
    sizes = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with storing(path), path.open("rb") as file:
            os.fsync(file.fileno())
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    write_whole(folder / _MARK, json.dumps(sizes).encode())
    for other in folder.parent.glob("checkpoint-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def last_checkpoint(out: Path) -> Saved | None:
    """The newest checkpoint in a trainer's folder that is whole; None where there is none. Those that are not go."""
    found = []
    for folder in out.glob("checkpoint-*"):
        if _is_whole(folder):
            found.append(Saved(int(folder.name.split("-")[1]), folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return max(found, default=None)


def _is_whole(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / _MARK).read_bytes())
    except (OSError, ValueError):
        return False
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())
