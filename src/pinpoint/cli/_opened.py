"""A run opened for a command, what it says on the way, and what it prints."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pinpoint.cli._common import model_path
from pinpoint.cli._console import GOES_ON, Terminal
from pinpoint.errors import InputError, PinpointWarning, printable
from pinpoint.masking import masked_text
from pinpoint.processes import current

if TYPE_CHECKING:
    from pinpoint.config import RunConfig
    from pinpoint.pipeline import Run


def present(file: Path, mend: str) -> None:
    """Tells of a file that is not there before anything slow is imported to read it.

    Raises:
        InputError: it is not there.
    """
    if not file.exists():
        raise InputError("no such file.", where=str(file), mend=mend)


def tell_of_code(settings: "RunConfig", *, quiet: bool = False) -> None:
    """Warns on stderr that the model's own code will run, where it may; before any of it can."""
    from pinpoint.config import code_warning

    if (warning := code_warning(settings)) and current().first and not quiet:
        typer.echo(printable(masked_text(f"warning: {warning}")), err=True)


@contextmanager
def started(
    model: str,
    config: Path | None,
    settings: dict[str, Any],
    out: Path | None,
    *,
    fork: bool,
    quiet: bool,
    judged: bool = False,
) -> Iterator["Run"]:
    """A run of a model, its folder held for the length of the block; `judged` demands what its evaluation needs."""
    # What is wrong with the settings is told at once: torch, which takes seconds to import, is not needed for it.
    from pinpoint.config import notices, resolve

    resolved = resolve(model_path(model), config, settings)
    tell_of_code(resolved, quiet=quiet)
    from pinpoint.pipeline import fitted

    resolved, lost = fitted(resolved)
    folder = found_folder(resolved, out, fork=fork)
    with terminal(quiet=quiet) as progress, held(resolved, folder, progress, read=True, judged=judged) as opened:
        progress.say(f"run folder: {folder}")
        if lost:
            opened.note(lost)
        for line in notices(resolved):
            progress.say(line)
        yield opened


def found_folder(settings: "RunConfig", out: Path | None, *, fork: bool) -> Path:
    """A run's folder, which the first process finds, or copies, for all of them."""
    from pinpoint.pipeline import folder_for

    return Path(current().from_first(str(folder_for(settings, out, fork=fork)) if current().first else None))


@contextmanager
def held(
    settings: "RunConfig",
    folder: Path,
    progress: Terminal,
    *,
    read: bool = False,
    judged: bool = False,
    device: str | None = None,
) -> Iterator["Run"]:
    """A run in its folder, which the first process holds for the length of the block; others follow it, and exit.

    Args:
        settings: those of the run.
        folder: its folder.
        progress: told of everything.
        read: read all that it works on before the folder is made.
        judged: demand what its evaluation needs, judge and room in the context, before the folder is made.
        device: where to compute, if not where the settings say.
    """
    from pinpoint.pipeline import LOG, Run, demand_room, locked

    opened = Run(settings, folder, progress, current(), device)
    if not current().first:
        opened.follow()
        raise typer.Exit
    # Before the folder is made.
    if judged:
        opened.inputs.check_judge()
    if read:
        opened.inputs.read()
    if judged:
        demand_room(opened)
    with locked(folder), progress.kept(folder / LOG):
        yield opened
    opened.dismiss()


@contextmanager
def terminal(*, quiet: bool, stopped: str = GOES_ON) -> Iterator[Terminal]:
    """Progress on stderr; the libraries' own chatter is silenced, our warnings become lines.

    Args:
        quiet: show no progress, and no warnings.
        stopped: what Ctrl-C is answered with.
    """
    import logging
    import warnings

    import transformers
    from huggingface_hub.utils.tqdm import disable_progress_bars

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)
    first = current().first
    with Terminal(quiet=quiet or not first, stopped=stopped if first else "") as drawn, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", PinpointWarning)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, PinpointWarning):
                drawn.say(f"warning: {message}")
            else:
                shown(message, category, *rest, **more)

        warnings.showwarning = show
        yield drawn


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
