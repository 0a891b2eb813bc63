"""`pinpoint verify`, `tune` and `report`: one stage on an existing run folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pinpoint.cli._common import (
    CachePrefix,
    DeviceHere,
    Fork,
    Heads,
    Json,
    Offline,
    Projections,
    Quiet,
    RunFolder,
)
from pinpoint.cli._heads import parse_heads, parse_projections
from pinpoint.cli._opened import found_folder, held, print_json, tell_of_code, terminal

if TYPE_CHECKING:
    from pinpoint.pipeline import Run


@contextmanager
def opened(
    folder: Path,
    quiet: bool,
    heads: str | None = None,
    cache_prefix: bool | None = None,
    projections: str | None = None,
    *,
    fork: bool = False,
    device: str | None = None,
) -> Iterator["Run"]:
    """The run in a folder, which is held for the length of the block; `device` says where this command computes.

    Raises:
        ConfigError: the folder holds no run, or a tuned model made with other settings than those given.
    """
    from pinpoint.config import of_run

    settings = of_run(folder)
    changed: dict[str, Any] = {} if heads is None else {"heads": _frozen(parse_heads(heads))}
    if projections is not None:
        changed["projections"] = parse_projections(projections)
    if cache_prefix is not None:
        changed["cache_prefix"] = cache_prefix
    settings = settings.model_copy(update={"tune": settings.tune.model_copy(update=changed)})
    tell_of_code(settings, quiet=quiet)
    if changed and (folder / "tune.json").is_file():
        folder = found_folder(settings, folder, fork=fork)
    with terminal(quiet=quiet) as progress, held(settings, folder, progress, device=device) as run:
        yield run


def _frozen(heads: int | str | list[str]) -> int | str | tuple[str, ...]:
    return tuple(heads) if isinstance(heads, list) else heads


def verify(
    run: RunFolder,
    device: DeviceHere = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Knock out the located heads, with random and layer-matched heads as controls.

    Example: pinpoint verify runs/yesman
    """
    from pinpoint.cli._tables import print_verification

    with opened(run, quiet, device=device) as held:
        from pinpoint.pipeline import demand_before

        demand_before(held, "verify")
        found = held.do("verify")
    print_json(found) if as_json else print_verification(found, held.inputs.behaviour)


def tune(
    run: RunFolder,
    heads: Heads = None,
    projections: Projections = None,
    cache_prefix: CachePrefix = None,
    device: DeviceHere = None,
    fork: Fork = False,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tune the chosen heads, and the whole model for comparison unless `full` is null.

    A folder whose heads are tuned is not tuned over with other settings: --fork copies it.

    Example: pinpoint tune runs/yesman --heads 4
    """
    with opened(run, quiet, heads, cache_prefix, projections, fork=fork, device=device) as held:
        from pinpoint.pipeline import demand_before

        demand_before(held, "tune")
        # Stopped in the second, it goes on there.
        if held.is_done("tune_full") or not held.is_done("tune"):
            held.do("tune")
        held.do("tune_full")
    record = held.workspace.read_json("tune.json")
    if as_json:
        print_json(record)
        return
    from pinpoint.tune import words_of

    last = record["history"][-1]
    typer.echo(
        f"{len(record['heads'])} heads ({', '.join(record['heads'])}), {record['trainable_parameters']:,} parameters, "
        f"{record['seconds']:.1f} s; validation: {words_of(last['metrics'], last['estimates'])}"
    )
    merged = held.workspace.path("merged")
    typer.echo(f"adapter: {held.workspace.path('adapter')}; merged model: {merged if merged.is_dir() else 'none'}")


def report(run: RunFolder, as_json: Json = False, quiet: Quiet = False) -> None:
    """Write the page of a run.

    Example: pinpoint report runs/yesman
    """
    with opened(run, quiet) as held:
        page = held.report()
    print_json({"page": str(page)}) if as_json else typer.echo(str(page))
