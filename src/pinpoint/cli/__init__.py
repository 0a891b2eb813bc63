"""The command line."""

import io
import sys

import typer

from pinpoint._version import __version__
from pinpoint.cli._chat import chat
from pinpoint.cli._check import check
from pinpoint.cli._compare import compare
from pinpoint.cli._config import config
from pinpoint.cli._evaluate import evaluate
from pinpoint.cli._export import export
from pinpoint.cli._locate import locate
from pinpoint.cli._push import push
from pinpoint.cli._reproduce import reproduce
from pinpoint.cli._run import demo, run
from pinpoint.cli._score import score
from pinpoint.cli._stages import report, tune, verify
from pinpoint.errors import PinpointError, printable

app = typer.Typer(
    name="pinpoint",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find the attention heads that cause a behaviour of a chat model, prove it, and fine-tune only those.",
)
COMMANDS = (
    (demo, run, check, locate, verify, tune, evaluate, compare, report, chat)
    + (export, push, reproduce)
    + (score, config)
)
for command in COMMANDS:
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pinpoint {__version__}")
        raise typer.Exit


@app.callback()
def _options(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True)) -> None:
    pass


def main() -> None:
    """Runs the command line; a mendable error is one message on stderr, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets it written out instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    try:
        app()
    except PinpointError as error:
        sys.stderr.write(f"error: {printable(str(error))}\n")
        sys.exit(error.exit_code)
