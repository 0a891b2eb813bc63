"""`pinpoint push`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pinpoint.cli._common import Json, Quiet
from pinpoint.cli._console import talk
from pinpoint.cli._opened import print_json, tell_of_code, terminal
from pinpoint.cli._sharing_tables import print_files
from pinpoint.errors import InputError

if TYPE_CHECKING:
    from pinpoint.pipeline import Package, Target


def push(
    run: Annotated[Path, typer.Argument(help="A run folder, or an export of one.", metavar="RUN")],
    to: Annotated[str, typer.Option(help="Repository on the Hub: user/name.")],
    public: Annotated[bool, typer.Option("--public", help="Make the repository public; private by default.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Upload without asking.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Upload an export to the Hugging Face Hub, private by default. A run is exported first, to RUN/export.

    Example: pinpoint push runs/yesman --to me/yesman-tuned
    """
    from huggingface_hub import HfApi

    from pinpoint.config import of_run
    from pinpoint.pipeline import Run, exported, locked, package_of, push, target

    api = HfApi()
    with terminal(quiet=quiet, stopped="stopped: nothing was sent.") as progress:
        found = target(to, api, public=public)
        if (run / "config.yaml").is_file():
            settings = of_run(run)
            tell_of_code(settings, quiet=quiet)
            with locked(run):
                folder = exported(Run(settings, run, progress))
        else:
            folder = run
        package = package_of(folder)
    shown = not as_json and not quiet
    if shown:
        print_files(package.sizes, title=_title(package, found))
    if not yes:
        _ask(package, found, shown=shown)
    with terminal(quiet=quiet, stopped="stopped: the same command sends what is still missing.") as progress:
        progress.say(f"sending {len(package.sizes)} files to {to}")
        commit = push(package, found, api)
    if as_json:
        print_json({"repo": to, "private": found.private, "commit": commit, "files": package.sizes})
    else:
        typer.echo(f"pushed: {commit}")


def _title(package: "Package", to: "Target") -> str:
    return f"{package.folder} to {to.repo}, {_kind(to)}"


def _kind(to: "Target") -> str:
    return f"{'private' if to.private else 'PUBLIC'}, {'there already' if to.exists else 'new'}"


def _ask(package: "Package", to: "Target", *, shown: bool) -> None:
    """Asks whether to send, with the files on stderr where they were not `shown` on stdout."""
    if not sys.stdin.isatty():
        raise InputError(
            f"{len(package.sizes)} files would go to {to.repo}, {_kind(to)}, and there is nobody to ask.",
            mend="Say --yes.",
        )
    if not shown:
        print_files(package.sizes, title=_title(package, to), on=talk)
    if not typer.confirm(f"Send {len(package.sizes)} files to {to.repo}, {_kind(to)}?", err=True):
        raise typer.Exit(1)
