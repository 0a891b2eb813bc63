"""What a disk refuses, told as one error: which file, why, and what to do."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pinpoint.errors import StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
# torch, safetensors and tokenizers write files past Python, and raise no OSError; tokenizers a bare Exception.
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_TORCH = ("inline_container.cc", "PytorchStreamWriter", "Parent directory", "iostream error")


_LITTLE = 1 << 20  # bytes


def _guessed(where: Path) -> int | None:
    """ENOSPC where hardly anything is left on the disk: torch does not say why it could not write."""
    try:
        free = shutil.disk_usage(where if where.exists() else where.parent).free
    except OSError:
        return None
    return errno.ENOSPC if free < _LITTLE else None


def _mend(number: int | None) -> str:
    if number in _FULL:
        return "Free space there and run the same command again: what is finished is kept."
    if number in _CLOSED:
        return "Change its permissions, or give another place."
    return "Look at the disk, which may be full or failing; then run the same command again: what is finished is kept."


def refused(error: OSError, where: Path | None = None, doing: str = "read or written") -> StorageError:
    """The error to tell of instead of one of the system.

    Args:
        error: what the system raised; its file, where it names one, is told.
        where: the file or folder that was worked on.
        doing: what was done to it.
    """
    # copytree raises a list of (from, to, why) without a number.
    reason = error.strerror or (str(error.args[0][0][2]) if error.args and isinstance(error.args[0], list) else "")
    place = error.filename2 or error.filename or where or ""
    return StorageError(
        f"cannot be {doing}: {reason or str(error) or type(error).__name__}.",
        where=os.fsdecode(place) if isinstance(place, str | bytes | os.PathLike) else str(place),
        mend=_mend(error.errno),
    )


@contextmanager
def storing(where: Path, doing: str = "written") -> Iterator[None]:
    """Turns what Python, safetensors, tokenizers and torch raise where a file cannot be written or read into one error.

    Args:
        where: the file or folder that is worked on.
        doing: what is done to it.

    Raises:
        StorageError: the disk is full, failing or read-only.
    """
    try:
        yield
    except OSError as error:
        raise refused(error, where, doing) from error
    except Exception as error:
        number = _OS_ERROR.search(str(error))
        if number is None and not (isinstance(error, RuntimeError) and any(mark in str(error) for mark in _TORCH)):
            raise
        code = int(number[1]) if number else _guessed(where)
        reason = os.strerror(code) if code else "the file could not be written to its end"
        raise StorageError(f"cannot be {doing}: {reason}.", where=str(where), mend=_mend(code)) from error


def appending(path: Path) -> TextIO:
    """Opens a text file to add to, and makes it if need be; what UTF-8 cannot hold is written out.

    Raises:
        StorageError: it cannot be opened, or is a link.
    """
    with storing(path):
        # Not through a link, which may lead to any file of the user's.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(path, flags, 0o666), "a+", encoding="utf-8", errors="backslashreplace")
