"""One process at a time in a run folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pinpoint.artifacts import DIGESTS
from pinpoint.errors import InputError
from pinpoint.pipeline._environment import ENVIRONMENT
from pinpoint.storage import appending, storing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


LOG = "run.log"
"""What was said while a folder was held."""
_TRACES = {".lock", LOG, ENVIRONMENT, DIGESTS}
"""What a run leaves that was refused or stopped as it began. Alone they keep no folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the run folder for the length of a block. The system lets go of it when the process ends, however it ends.

    Raises:
        InputError: another process holds it, or it cannot be made.
        StorageError: nothing can be written to it.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"no folder can be made: {error.strerror}.", where=str(folder), mend="Give another --out."
        ) from error
    path, before = folder / ".lock", {one.name for one in folder.iterdir()}
    with appending(path) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise InputError(
                    f"process {file.read().strip() or '?'} is working in this run folder.",
                    where=str(folder),
                    mend="Wait for it, stop it, or give another folder with --out.",
                ) from error
        with storing(path):
            file.truncate(0)
            # Past the buffer: what it cannot get rid of would fail again as the file is closed.
            os.write(file.fileno(), str(os.getpid()).encode())
        try:
            yield
        finally:
            # A run that stopped before it wrote anything leaves no folder behind.
            left = {one.name for one in folder.iterdir()}
            if left <= _TRACES:
                for name in left - before:
                    (folder / name).unlink()
                with suppress(OSError):
                    for made in new:
                        made.rmdir()
