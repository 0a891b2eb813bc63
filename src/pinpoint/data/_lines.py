"""The lines of a JSONL file."""

from pathlib import Path

from pinpoint.errors import InputError


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file, cut at line feeds alone: JSON strings may hold other separators.

    Raises:
        InputError: there is no such file, or it is not UTF-8.
    """
    if not path.is_file():
        raise InputError("no such file.", where=str(path), mend="Give a JSONL file.")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 (byte {error.start}).", where=str(path), mend="Save it as UTF-8.") from error
    return lines[:-1] if not lines[-1] else lines
