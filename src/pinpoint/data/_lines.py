"""Text files that users bring."""

from pathlib import Path

from pinpoint.errors import InputError

HALVED = "holds half a character (a lone surrogate)"
"""What is wrong with a text that is `halved`."""


def halved(text: str) -> bool:
    """Whether a text holds a lone surrogate, as JSON can write it: no tokenizer takes that."""
    return any("\ud800" <= sign <= "\udfff" for sign in text)


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file, cut at line feeds alone: JSON strings may hold other separators.

    Raises:
        InputError: there is no such file, or it is not UTF-8.
    """
    lines = read_text(path).split("\n")
    return lines[:-1] if not lines[-1] else lines


def read_text(path: Path) -> str:
    """A UTF-8 text file, without the byte order mark that some editors write, its line ends as they are.

    Raises:
        InputError: it cannot be read, or it is not UTF-8.
    """
    if path.is_dir():
        raise InputError("is a folder, not a file.", where=str(path), mend="Give a file in it.")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{reason}.", where=str(path), mend="Give a file that can be read.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 (byte {error.start}).", where=str(path), mend="Save it as UTF-8.") from error
