"""Errors that a user can mend: what is wrong, where, and what to do about it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

# What moves a terminal's cursor or hides text in it: control characters but tab and line feed, and bidirectional marks.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def first_line(text: str) -> str:
    """The first line that says something; empty where none does."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def printable(text: str) -> str:
    """Text that a terminal only shows: what would command it is written out as an escape."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class PinpointError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        what: what is wrong, in a sentence.
        where: file:line, config key or layer that it is about.
        mend: what the user can do.

    Example:
        >>> try:
        ...     pinpoint.Head.parse("layer 12, head 5")
        ... except pinpoint.PinpointError as error:
        ...     print(error)
        'layer 12, head 5' is not a head. Write heads as "L12.H5".
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        # Other libraries' messages, which some end on, may lack it.
        stop = "" if not mend or what.endswith((".", "!", "?", ":")) else "."
        super().__init__(": ".join(filter(None, (where, what))) + (f"{stop} {mend}" if mend else ""))


class InputError(PinpointError):
    """Something that the user gave cannot be used: a file, a value, a model."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown or out of range."""


class ArchitectureError(InputError):
    """The model keeps its heads in a layout that has no spec."""


class ArtifactError(InputError):
    """A file that a stage left behind is missing, incomplete or changed."""


class Problems:
    """Keeps what a user has to mend, so that it is told at once instead of one thing a try."""

    def __init__(self) -> None:
        self._found: list[InputError] = []

    def add(self, error: InputError) -> None:
        """Keeps an error for `tell`."""
        self._found.append(error)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within the block, an error ends the block alone, and is kept for `tell`."""
        try:
            yield
        except InputError as error:
            self.add(error)

    def tell(self) -> None:
        """Does nothing where nothing was kept.

        Raises:
            InputError: the one error that was kept; or one of the first one's kind, with a line for each.
        """
        if len(self._found) > 1:
            raise type(self._found[0])("\n".join(map(str, self._found)))
        if self._found:
            raise self._found[0]


class EndpointError(PinpointError):
    """A server of a model cannot be reached, or stays overloaded."""


class StorageError(PinpointError):
    """A file cannot be written or read: the disk is full, failing or read-only. What was finished stays."""


class CheckFailed(PinpointError):
    """A sanity check of the pipeline stopped the run: its numbers would mislead."""


class OutOfMemory(PinpointError):
    """The least that can be computed at once does not fit the memory."""


class ExportRefused(CheckFailed):
    """What would be handed on is not the model that was measured: nothing is written or sent."""

    exit_code = 2


class GateMissed(PinpointError):
    """The run finished, but a condition of `--require` does not hold."""

    exit_code = 3


class NotReproduced(PinpointError):
    """The rerun finished, but its results are not those of the record."""

    exit_code = 3


class PinpointWarning(UserWarning):
    """A result stands, but should be read with care."""
