"""`pinpoint reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

from pinpoint.cli._common import Json, Offline, Quiet
from pinpoint.cli._opened import present, print_json, tell_of_code, terminal
from pinpoint.errors import NotReproduced, printable


def reproduce(
    file: Annotated[Path, typer.Argument(help="The reproduce.json of a run or an export.", metavar="FILE")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the rerun; by default runs/reproduced-<digest of the record>.")
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="If the run ran code that came with its model, run that here, with your rights: read it first.",
        ),
    ] = False,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Repeat a recorded run from the same inputs, and compare to the bit. Exit code 3 if anything differs.

    Example: pinpoint reproduce runs/yesman/reproduce.json
    """
    file = file / "reproduce.json" if file.is_dir() else file
    present(file, "Give the reproduce.json that a finished run left in its folder.")
    from pinpoint.artifacts import file_digest
    from pinpoint.cli._sharing_tables import print_reproduction
    from pinpoint.organism import shipped
    from pinpoint.pipeline import locked, read_record, reproduce, restored

    record = read_record(file)
    places = [file.parent, Path.cwd(), *shipped().values()]
    config = restored(record, str(file), places, trust_remote_code=trust_remote_code)
    tell_of_code(config, quiet=quiet)
    out = Path("runs") / f"reproduced-{file_digest(file)[:8]}" if out is None else out
    with terminal(quiet=quiet) as progress, locked(out):
        found = reproduce(record, config, out, progress)
    if as_json:
        rows = [row._asdict() | {"equal": row.equal} for row in found.results]
        metrics = [row._asdict() for row in found.metrics]
        differing = {"environment": found.differing, "results": rows, "metrics": metrics}
        print_json({"folder": str(out), "equal": found.equal} | differing)
    else:
        print_reproduction(found)
        for line in found.differing:
            typer.echo(printable(f"differs: {line}"))
    if not found.equal:
        unequal = ", ".join(row.name for row in found.results if not row.equal)
        raise NotReproduced(f"not reproduced to the bit: {unequal}.", where=str(out))
    if not as_json:
        typer.echo("reproduced to the bit")
