"""`pinpoint export`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pinpoint.cli._common import Json, Offline, Quiet, RunFolder
from pinpoint.cli._opened import print_json, tell_of_code, terminal

Base = Annotated[str | None, typer.Option(help="The base model's Hub id, if the run used a local copy.")]


def export(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default RUN/export.")] = None,
    dtype: Annotated[
        str, typer.Option(help="dtype of the merged model: auto (the run's), bfloat16, float16 or float32.")
    ] = "auto",
    base: Base = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write adapter, merged model, model card and record to a folder that can be shared, once the merge is checked.

    Example: pinpoint export runs/yesman --out yesman-tuned --dtype bfloat16
    """
    from pinpoint.config import of_run

    out = run / "export" if out is None else out
    settings = of_run(run)
    tell_of_code(settings, quiet=quiet)
    from pinpoint.pipeline import Run, export_run, locked

    stopped = "stopped: nothing was exported; the same command begins anew."
    with terminal(quiet=quiet, stopped=stopped) as progress, locked(run):
        manifest = export_run(Run(settings, run, progress), out, dtype, base)
    if as_json:
        print_json({"folder": str(out)} | manifest)
        return
    _show(out, manifest)


def _show(out: Path, manifest: dict[str, Any]) -> None:
    from pinpoint.cli._sharing_tables import print_files

    print_files({name: one["bytes"] for name, one in manifest["files"].items()}, title=str(out))
    for check in manifest["checks"]:
        typer.echo(f"check {check['name']!r} passed: {check['detail']}")
    if manifest["base"] is None:
        typer.echo("The base is a local folder: give its Hub id with --base, so that the card can name it.")
    typer.echo(f"exported: {out}")
