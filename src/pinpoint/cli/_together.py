"""A command that several processes run together."""

import os
import sys

from pinpoint.errors import ConfigError, printable
from pinpoint.masking import masked_text
from pinpoint.processes import join, launched, splits

_SHARED = ("run", "demo", "locate", "verify", "tune", "evaluate")


def tell(error: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"error: {printable(masked_text(error))}\n")
    sys.stderr.flush()


def meet(command: str | None) -> None:
    """Joins the other processes of this command, if a launcher started any; all but the first are silent from here.

    Raises:
        ConfigError: the command is one for a single process, or the launcher is set to split a model in a way that is
            not supported.
    """
    splits()
    if launched() == 1:
        return
    if command not in _SHARED:
        raise ConfigError(
            f"runs in one process, and {launched()} were started.",
            where=f"pinpoint {command or ''}".strip(),
            mend=f"Start it without torchrun or accelerate launch; those are for {', '.join(_SHARED)}.",
        )
    if not join(tell).first:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
