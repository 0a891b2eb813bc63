"""`pinpoint capability`."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from pinpoint.cli._common import DeviceHere, Json, Offline, Quiet, RunFolder
from pinpoint.cli._opened import print_json
from pinpoint.cli._stages import opened


def capability(
    run: RunFolder,
    tasks: Annotated[
        str, typer.Option(help="quick, paper, or names of lm-eval's tasks, groups or tags, separated by commas.")
    ] = "quick",
    include: Annotated[Path | None, typer.Option(help="A folder of further tasks in lm-eval's YAML.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of items of each task.")] = None,
    run_code: Annotated[
        bool, typer.Option("--run-code", help="Allow code that the model writes to run on this machine.")
    ] = False,
    device: DeviceHere = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a run's base, merged and fully tuned models, and its adapter, on tasks of lm-eval (an extra).

    The merged model's scores count; the adapter's are held against them. On a quantised base the adapter's count.

    Example: pinpoint capability runs/yesman --tasks gsm8k,mmlu --limit 100
    """
    from pinpoint.cli._tables import print_capability
    from pinpoint.evaluate import find_tasks
    from pinpoint.models import pick_device
    from pinpoint.pipeline import capability_run

    with opened(run, quiet, device=device) as held, _bars_aside(quiet):
        # The tasks' data may take minutes to fetch: not before the device is known to be there.
        pick_device(held.device)
        chosen = find_tasks(tasks, include, run_code=run_code)
        found = capability_run(held, chosen, limit)
    print_json(found) if as_json else print_capability(found)


@contextmanager
def _bars_aside(quiet: bool) -> Iterator[None]:
    """Keeps what lm-eval prints off stdout, and its progress bars off a stderr that was to stay quiet."""
    with redirect_stderr(io.StringIO() if quiet else sys.stderr), redirect_stdout(sys.stderr):
        yield
