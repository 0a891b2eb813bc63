"""Code that comes with a checkpoint is never run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pinpoint.errors import InputError

NO_CODE = {"trust_remote_code": False}
"""Said to every loader: left unsaid, transformers asks in the terminal whether to run a checkpoint's own code."""


@contextmanager
def refusing_code(path: str | Path) -> Iterator[None]:
    """Within the block, a checkpoint that needs code of its own is refused in one message, whichever loader finds out.

    Raises:
        InputError: it does.
    """
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise InputError(
            "can only be loaded by running code that comes with it, which could do anything on this machine and is "
            "never run here.",
            where=str(path),
            mend="Give a version of a model type that transformers has itself (on the Hub often named -hf), "
            "or convert the checkpoint to one: docs/usage.md.",
        ) from error
