"""`pinpoint locate`."""

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from pinpoint.cli._common import (
    BatchSize,
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
    TrustRemoteCode,
    typed_settings,
)
from pinpoint.cli._opened import print_json, started
from pinpoint.errors import ConfigError

if TYPE_CHECKING:
    from pinpoint.cli._located import Located
    from pinpoint.heads import Head
    from pinpoint.pipeline import Run

_THROUGH: dict[str, Literal["q", "k", "v"]] = {"q": "q", "k": "k", "v": "v"}


def locate(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    method: Annotated[
        str | None,
        typer.Option(help="path (default), activation, attribution, knockout, probe or random: docs/locators.md."),
    ] = None,
    positions: Annotated[
        str | None, typer.Option(help="Where activation and attribution patch: last (default), suffix or all.")
    ] = None,
    nodes: Annotated[
        str | None, typer.Option(help="What to score, separated by commas: heads (default), groups, attention, mlps.")
    ] = None,
    exact_pairs: Annotated[
        int | None,
        typer.Option(min=0, help="Pairs on which attribution is compared with exact effects; 0 for none."),
    ] = None,
    behaviour: Behaviour = None,
    engine: Annotated[str | None, typer.Option(help="sweep (default), or naive: brute force, to compare with.")] = None,
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
        str | None, typer.Option(help="Which input of the receivers the paths go through: q (default), k or v.")
    ] = None,
    contrasts: Annotated[
        str | None,
        typer.Option(
            help="Also score the first heads under further contrasts: affirmed, neutral, wrong_first; or none."
        ),
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Maximum number of contrast pairs.")] = None,
    dtype: Dtype = None,
    device: Device = None,
    device_map: DeviceMap = None,
    bits: Bits = None,
    batch_size: BatchSize = None,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
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
    to, which = _receivers(receivers, through)
    further = _Further(head_set, [] if joint is None else _heads(joint), to, which, stability)
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
    settings = typed_settings(
        questions=questions,
        behaviour=behaviour,
        dtype=dtype,
        device=device,
        device_map=device_map,
        bits=bits,
        batch_size=batch_size,
        revision=revision,
        trust_remote_code=trust_remote_code,
        seed=seed,
        thinking=thinking,
        template=template,
        locate={key: value for key, value in given.items() if value is not None},
    )
    with started(model, config, settings, out, fork=fork, quiet=quiet) as run:
        found = _measured(run, further)
        document = found.document()
    from pinpoint.cli._located import print_located

    print_json(document) if as_json else print_located(found)


class _Further(NamedTuple):
    """What is asked for beyond the scores of heads one by one."""

    set_size: int | None
    named: list["Head"]
    receivers: list["Head"]
    through: Literal["q", "k", "v"]
    stability: bool


def _measured(run: "Run", asked: _Further) -> "Located":
    from pinpoint.cli._located import Located
    from pinpoint.pipeline import (
        beside_brute_force,
        check_paths,
        check_ranked,
        joint_of,
        locate_receivers,
        locate_stability,
        located_scores,
        search_set,
    )

    method = run.config.locate.method
    # Before anything is located.
    if asked.set_size:
        check_paths(method, "--set")
    if asked.named:
        check_paths(method, "--joint")
    if asked.stability:
        check_ranked(method)
    run.view.check([*asked.receivers, *asked.named])
    scores = located_scores(run) if run.is_done("locate") else run.do("locate")
    folder = run.workspace.sub("locate")
    return Located(
        folder,
        folder.read_json("locate.json"),
        scores,
        folder.read_json("nodes.json") if folder.has("nodes.json") else None,
        sweep=beside_brute_force(run, scores) if scores.engine == "naive" else None,
        found_set=search_set(run, asked.set_size) if asked.set_size else None,
        named=asked.named,
        joint=joint_of(run, asked.named) if asked.named else None,
        paths=locate_receivers(run, asked.receivers, asked.through) if asked.receivers else None,
        stability=locate_stability(run, scores) if asked.stability else None,
    )


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _heads(names: str) -> list["Head"]:
    from pinpoint.heads import Head

    return [Head.parse(name) for name in names.split(",")]


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
