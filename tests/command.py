"""Commands run in this process."""

import sys

import pytest

from pinpoint.cli import main


def ended(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["pinpoint", *arguments])
    try:
        main()
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def said(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    return ended(arguments, monkeypatch), *capsys.readouterr()
