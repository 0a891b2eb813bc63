"""`pinpoint locate`."""

from pathlib import Path
from typing import Annotated

import typer

from pinpoint.cli._common import (
    Behaviour,
    Config,
    Device,
    Dtype,
    Fork,
    Json,
    Model,
    Out,
    Questions,
    Quiet,
    Seed,
    Thinking,
    print_json,
    started,
    terminal,
    typed_settings,
)


def locate(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    behaviour: Behaviour = None,
    engine: Annotated[str | None, typer.Option(help="sweep (default) or naive, the slow oracle.")] = None,
    metric: Annotated[str | None, typer.Option(help="logit_diff, log_odds or paper_share.")] = None,
    head_set: Annotated[
        int | None, typer.Option("--set", min=1, help="Also search for the set of this many heads that acts jointly.")
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Contrast pairs at the most.")] = None,
    dtype: Dtype = None,
    device: Device = None,
    seed: Seed = None,
    thinking: Thinking = None,
    fork: Fork = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score every head by exact path patching. With --engine naive, the sweep runs beside it and is compared.

    Example: pinpoint locate yesman --out runs/yesman
    """
    from pinpoint.cli._tables import print_scores
    from pinpoint.heads import HeadScores
    from pinpoint.pipeline import beside_brute_force, search_set

    given = {"engine": engine, "metric": metric, "pairs": pairs}
    section = {key: value for key, value in given.items() if value is not None}
    settings = typed_settings(
        questions=questions,
        behaviour=behaviour,
        dtype=dtype,
        device=device,
        seed=seed,
        thinking=thinking,
        locate=section,
    )
    with terminal(quiet=quiet) as progress, started(model, config, settings, out, progress, fork=fork) as run:
        scores: HeadScores = run.do("locate")
        beside = beside_brute_force(run, scores) if scores.engine == "naive" else None
        steps = search_set(run, head_set) if head_set else []
    if as_json:
        record = run.workspace.sub("locate").read_json("locate.json")
        searched = {"set": run.workspace.sub("locate").read_json("set.json")} if head_set else {}
        print_json(record | ({"sweep": beside._asdict()} if beside else {}) | searched)
        return
    print_scores(scores)
    for step in steps:
        joined = ", ".join(map(str, step.heads))
        typer.echo(f"{'+' if step.added else '-'} {step.head}: joint effect {step.joint:+.4f} of {joined}")
    typer.echo(
        f"{scores.effects.shape[0]} pairs in {scores.seconds:.2f} s; written to {Path(run.workspace.root) / 'locate'}"
    )
    if beside:
        same = "the same ranking" if beside.same_ranking else "ANOTHER ranking"
        typer.echo(
            f"sweep: {same}, largest relative difference {beside.difference:.1e}, {beside.seconds:.2f} s: "
            f"{beside.factor:.0f}x faster"
        )
