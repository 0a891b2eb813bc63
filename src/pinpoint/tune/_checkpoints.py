"""Which of a trainer's checkpoints were written to their end."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pinpoint.artifacts import file_digest, sync, write_whole
from pinpoint.errors import ArtifactError

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


@contextmanager
def reading(checkpoint: Saved | None) -> Iterator[None]:
    """Tells of a checkpoint that holds more than weights and numbers, which torch does not read: it could run code.

    Raises:
        ArtifactError: it does.
    """
    try:
        yield
    except Exception as error:
        # torch raises pickle's own error, in whose message alone this differs from others.
        if checkpoint is None or "Weights only load failed" not in str(error):
            raise
        raise ArtifactError(
            "holds more than weights and numbers, and was not read: it could run code.",
            where=str(checkpoint.folder),
            mend="This tool does not write such files. Remove the folder and run the same command again.",
        ) from error


def _is_whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / _MARK).read_bytes())
    except (OSError, ValueError):
        return False
    return all((folder / name).is_file() and file_digest(folder / name) == one for name, one in digests.items())
