"""`pinpoint run` and `pinpoint demo`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pinpoint.cli._common import (
    Config,
    Device,
    Dtype,
    Heads,
    Json,
    Model,
    Out,
    Questions,
    Quiet,
    Seed,
    default_out,
    model_path,
    print_json,
    terminal,
    typed_settings,
)


def _run(model: str, out: Path, config: Path | None, settings: dict[str, Any], as_json: bool, quiet: bool) -> None:
    from pinpoint.cli._tables import print_summary
    from pinpoint.pipeline import Run, resolve

    with terminal(quiet=quiet) as progress:
        started = Run(resolve(model_path(model), config, settings), out, progress)
        page = started.all()
    summary = started.workspace.read_json("summary.json")
    if as_json:
        print_json(summary)
        return
    print_summary(summary)
    for warning in summary["warnings"]:
        typer.echo(f"warning: {warning}")
    typer.echo(f"page: {page}")


def run(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    heads: Heads = None,
    dtype: Dtype = None,
    device: Device = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Locate, verify, tune, evaluate and report, in one go.

    Example: pinpoint run my-model --questions questions.jsonl --config settings.yaml
    """
    settings = typed_settings(questions=questions, heads=heads, dtype=dtype, device=device, seed=seed)
    _run(model, out or default_out(model), config, settings, as_json, quiet)


def demo(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run everything on the shipped sycophantic model: no download, a few minutes on two cores."""
    _run("yesman", out, None, {}, as_json, quiet)
