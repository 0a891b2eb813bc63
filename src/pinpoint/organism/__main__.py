"""`python -m pinpoint.organism train --seed 0 --out DIR`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Organism = Literal["truth-teller", "yesman", "yesman-planted"]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="The model organisms and their recipe.")


class _Lines:
    def heading(self, number: int, count: int, text: str) -> None:
        typer.echo(f"[{number}/{count}] {text}", err=True)

    def start(self, what: str, total: int) -> None:
        typer.echo(what, err=True)

    def advance(self, steps: int = 1) -> None:
        pass

    def say(self, text: str) -> None:
        typer.echo(text, err=True)


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Parent folder of the organisms.")],
    seed: Annotated[int, typer.Option(help="Seed of everything.")] = 0,
    only: Annotated[Organism | None, typer.Option(help="One of them; two start from truth-teller.")] = None,
) -> None:
    """Train the organisms from scratch: truth-teller, then yesman and yesman-planted from it."""
    from pinpoint.organism._make import make

    if only not in (None, "truth-teller") and not (out / "truth-teller").is_dir():
        typer.echo(f"error: {out}: no truth-teller, which {only} is trained from. Make that one first.", err=True)
        raise typer.Exit(2)
    make(seed, out, _Lines(), only)


@app.command()
def sets(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    seed: Annotated[int, typer.Option(help="Seed of the splits and wordings.")] = 0,
) -> None:
    """Write yesman's question sets and settings alone."""
    from pinpoint.organism._make import write_sets, write_settings

    out.mkdir(parents=True, exist_ok=True)
    write_sets(out, seed)
    write_settings(out)


if __name__ == "__main__":
    app()
