"""The command line."""

import io
import os
import sys
from contextlib import suppress

import typer

from pinpoint._version import __version__
from pinpoint.cli._capability import capability
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
from pinpoint.cli._sweep import sweep
from pinpoint.cli._together import meet, tell
from pinpoint.errors import PinpointError
from pinpoint.memory import told_when_out_of_memory
from pinpoint.processes import leave, tell_once
from pinpoint.storage import refused

# Read as datasets is imported: its bars would run through ours, and through --quiet.
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
# Read as huggingface_hub and gradio are imported: no library of this command tells its makers of its use.
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_TELEMETRY": "1", "GRADIO_ANALYTICS_ENABLED": "False"}

app = typer.Typer(
    name="pinpoint",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find the attention heads that cause a behaviour of a chat model, prove it, and fine-tune only those.",
)
COMMANDS = {
    "Begin here": (demo, check, run),
    "One stage at a time": (locate, verify, tune, evaluate, report),
    "Look and share": (chat, export, push, reproduce),
    "Measure and compare": (compare, sweep, capability, score),
    "Settings": (config,),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pinpoint {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    meet(context.invoked_subcommand)


def main() -> None:
    """Runs the command line; a mendable error is one message on stderr, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets it written out instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    try:
        try:
            with told_when_out_of_memory():
                app()
        finally:
            # Here, not as the interpreter ends: a full disk behind a redirection is an error like any other.
            sys.stdout.flush()
    except PinpointError as error:
        _end(error)
    except OSError as error:
        _end(refused(error))
    except SystemExit as ending:
        if not ending.code:
            leave()
        raise


def _end(error: PinpointError) -> None:
    with suppress(OSError):
        tell_once(str(error), tell)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # What it cannot get rid of would fail once more as the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(error.exit_code)
