"""Which of a trainer's checkpoints were written to their end."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

from pinpoint.artifacts import file_digest, sync, write_whole

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
    digests = {path.relative_to(folder).as_posix(): file_digest(path) for path in sync(folder) if path.name != _MARK}
    write_whole(folder / _MARK, json.dumps(digests).encode())
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
        digests = json.loads((folder / _MARK).read_bytes())
    except (OSError, ValueError):
        return False
    return all((folder / name).is_file() and file_digest(folder / name) == one for name, one in digests.items())
