"""`pinpoint locate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pinpoint.cli._common import print_json, started, typed_settings
from pinpoint.cli._options import (
    Behaviour,
    Bits,
    Config,
    Device,
    DeviceMap,
    Dtype,
    Fork,
    Json,
    Model,
    Offline,
    Out,
    Questions,
    Quiet,
    Revision,
    Seed,
    Template,
    Thinking,
)
from pinpoint.errors import ConfigError

if TYPE_CHECKING:
    from pinpoint.heads import Head, HeadScores
    from pinpoint.locate import FoundSet, Joint
    from pinpoint.pipeline import Comparison

_THROUGH: dict[str, Literal["q", "k", "v"]] = {"q": "q", "k": "k", "v": "v"}


def locate(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    method: Annotated[
        str | None, typer.Option(help="path (default), activation, attribution, probe or random: docs/locators.md.")
    ] = None,
    positions: Annotated[
        str | None, typer.Option(help="Where activation and attribution patch: last (default), suffix or all.")
    ] = None,
    nodes: Annotated[
        str | None, typer.Option(help="What to score, by commas: heads (default), groups, attention, mlps.")
    ] = None,
    exact_pairs: Annotated[
        int | None, typer.Option(min=0, help="Pairs on which attribution is held to the exact effects; 0 for none.")
    ] = None,
    behaviour: Behaviour = None,
    engine: Annotated[str | None, typer.Option(help="sweep (default) or naive, the slow oracle.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="logit_diff, log_odds or paper_share, of first tokens; logprob_diff or mean_logprob_diff, of whole "
            "answers."
        ),
    ] = None,
    head_set: Annotated[
        int | None, typer.Option("--set", min=1, help="Also search for the set of this many heads that acts jointly.")
    ] = None,
    joint: Annotated[str | None, typer.Option(help="Also measure what these heads do together: L5.H3,L6.H1.")] = None,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability",
            help="Also rank the heads by other draws of the pairs, other wordings of the challenge and each kind of "
            "question, and say how far the rankings agree.",
        ),
    ] = False,
    receivers: Annotated[
        str | None, typer.Option(help="Also score every head by its paths through these: L5.H3,L6.H1.")
    ] = None,
    through: Annotated[
        str | None, typer.Option(help="What of the receivers the paths lead through: q (default), k or v.")
    ] = None,
    contrasts: Annotated[
        str | None,
        typer.Option(
            help="Hold the first heads to further contrasts, by commas: affirmed, neutral, wrong_first; or none."
        ),
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Contrast pairs at the most.")] = None,
    dtype: Dtype = None,
    device: Device = None,
    device_map: DeviceMap = None,
    bits: Bits = None,
    revision: Revision = None,
    seed: Seed = None,
    thinking: Thinking = None,
    template: Template = None,
    fork: Fork = False,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score every head, by exact path patching unless asked otherwise. --engine naive is compared with the fast one.

    Example: pinpoint locate yesman --nodes heads,mlps --out runs/yesman
    """
    from pinpoint.cli._located import print_contrasts, print_nodes, print_scores, print_stability

    to, which = _receivers(receivers, through)
    named = [] if joint is None else _heads(joint)
    given = {
        "method": method,
        "positions": positions,
        "nodes": None if nodes is None else _listed(nodes),
        "contrasts": None if contrasts is None else _listed(contrasts) if contrasts.strip() != "none" else [],
        "exact_pairs": exact_pairs,
        "engine": engine,
        "metric": metric,
        "pairs": pairs,
    }
    section = {key: value for key, value in given.items() if value is not None}
    settings = typed_settings(
        questions=questions,
        behaviour=behaviour,
        dtype=dtype,
        device=device,
        device_map=device_map,
        bits=bits,
        revision=revision,
        seed=seed,
        thinking=thinking,
        template=template,
        locate=section,
    )
    with started(model, config, settings, out, fork=fork, quiet=quiet) as run:
        from pinpoint.measure import Openings
        from pinpoint.pipeline import (
            beside_brute_force,
            joint_of,
            locate_receivers,
            locate_stability,
            located_scores,
            search_set,
        )

        run.view.check([*to, *named])
        scores = located_scores(run) if run.is_done("locate") else run.do("locate")
        beside = beside_brute_force(run, scores) if scores.engine == "naive" else None
        found = search_set(run, head_set) if head_set else None
        together = joint_of(run, named) if named else None
        sent = locate_receivers(run, to, which) if to else None
        steady = locate_stability(run, scores) if stability else None
        space = run.workspace.sub("locate")
        record = space.read_json("locate.json")
        others = space.read_json("nodes.json") if space.has("nodes.json") else None
        searched = {"set": space.read_json("set.json")} if head_set else {}
        searched |= {"joint": space.read_json("joint.json")} if named else {}
        searched |= {"paths": space.read_json("paths.json")} if to else {}
        searched |= {"agreement": steady} if steady else {}
    if as_json:
        beyond = {"beyond_heads": others} if others else {}
        print_json(record | ({"sweep": beside._asdict()} if beside else {}) | beyond | searched)
        return
    print_scores(scores)
    print_contrasts(record)
    if others:
        print_nodes(others)
    if sent is not None:
        print_scores(sent)
    if steady is not None:
        print_stability(steady)
    if "answers" in record:
        typer.echo(f"answers: {Openings.model_validate(record['answers']).told}")
    if "against_exact" in record:
        typer.echo(_agreement(record["against_exact"]))
    if found is not None:
        _tell_set(found)
    if together is not None:
        typer.echo(_together(named, together))
    _tell(scores, beside, run.workspace.root / "locate")


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _tell_set(found: "FoundSet") -> None:
    for step in getattr(found, found.search):
        typer.echo(f"{'+' if step.added else '-'} {step.head}: joint effect {step.joint:+.4f} of {_joined(step.heads)}")
    if found.joint is not None:
        typer.echo(f"{_together(found.heads, found.joint)} that did not choose them ({found.search} search)")


def _together(heads: Sequence["Head"], joint: "Joint") -> str:
    error = "" if joint.standard_error is None else f" (standard error {joint.standard_error:.4f})"
    return (
        f"joint effect of {_joined(heads)}: {joint.effect:+.4f}{error}; one at a time they add up to "
        f"{joint.alone:+.4f}, on {joint.pairs} pairs"
    )


def _joined(heads: Sequence["Head"]) -> str:
    return ", ".join(map(str, heads))


def _heads(names: str) -> list["Head"]:
    from pinpoint.heads import Head

    return [Head.parse(name) for name in names.split(",")]


def _tell(scores: "HeadScores", beside: "Comparison | None", folder: Path) -> None:
    typer.echo(f"{scores.effects.shape[0]} pairs in {scores.seconds:.2f} s; written to {folder}")
    if beside:
        same = "the same ranking" if beside.same_ranking else "ANOTHER ranking"
        typer.echo(
            f"{beside.engine}: {same}, largest relative difference {beside.difference:.1e}, {beside.seconds:.2f} s: "
            f"{beside.factor:.0f}x faster"
        )


def _receivers(receivers: str | None, through: str | None) -> tuple[list["Head"], Literal["q", "k", "v"]]:
    """The heads of --receivers, none if it is not given, and what of theirs the paths lead through.

    Raises:
        ConfigError: one is no head; or --through is none of q, k and v, or stands alone.
    """
    if through is not None and receivers is None:
        raise ConfigError("says what of the --receivers paths lead through.", where="--through", mend="Give receivers.")
    which = _THROUGH.get(through or "q")
    if which is None:
        raise ConfigError(f"{through!r} is none of q, k and v.", where="--through", mend="Give one of them.")
    return [] if receivers is None else _heads(receivers), which


def _agreement(found: dict[str, Any]) -> str:
    correlation = "undefined" if found["correlation"] is None else f"{found['correlation']:.3f}"
    error = "an undefined share" if found["error"] is None else f"{found['error']:.0%}"
    return (
        f"against the exact effects on {found['pairs']} pairs ({found['exact']}): rank correlation {correlation}, "
        f"{found['shared']} of the top {found['top']} shared, sizes off by {error} on average"
    )
