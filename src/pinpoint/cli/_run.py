"""`pinpoint run` and `pinpoint demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinpoint.cli._common import (
    BatchSize,
    Behaviour,
    Beliefs,
    Biography,
    Bits,
    CachePrefix,
    Config,
    Device,
    DeviceMap,
    Dtype,
    Explanations,
    Feedback,
    Fork,
    Heads,
    Json,
    JudgeEndpoint,
    JudgeKind,
    JudgeModel,
    Model,
    Offline,
    Out,
    Phrasings,
    Pressure,
    Projections,
    Questions,
    Quiet,
    Revision,
    Seed,
    Sycon,
    Template,
    Thinking,
    TrustRemoteCode,
    WrongAnswers,
    judge_settings,
    model_path,
    typed_settings,
)
from pinpoint.cli._opened import held, print_json, started, tell_of_code, terminal
from pinpoint.errors import GateMissed

if TYPE_CHECKING:
    from pinpoint.pipeline import Gate, Run


def _show(run: "Run", as_json: bool) -> None:
    from pinpoint.cli._tables import print_summary

    summary = run.workspace.read_json("summary.json")
    if as_json:
        print_json(summary)
        return
    print_summary(summary, run.inputs.behaviour)
    for warning in summary["warnings"]:
        typer.echo(f"warning: {warning}")
    typer.echo(f"page: {run.workspace.path('report.html')}")


def run(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    behaviour: Behaviour = None,
    heads: Heads = None,
    projections: Projections = None,
    cache_prefix: CachePrefix = None,
    wrong_answers: WrongAnswers = None,
    explanations: Explanations = None,
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
    phrasings: Phrasings = None,
    pressure: Pressure = None,
    sycon: Sycon = None,
    biography: Biography = None,
    beliefs: Beliefs = None,
    feedback: Feedback = None,
    judge: JudgeKind = None,
    judge_model: JudgeModel = None,
    judge_endpoint: JudgeEndpoint = None,
    fork: Fork = False,
    require: Annotated[
        str | None, typer.Option(help="Exit with 3 unless the tuned model has: truthfulness>=0.8,kl<=0.05.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, without loading or writing anything.")
    ] = False,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Locate, verify, tune, evaluate and report, in one go. Stages that an earlier run finished are kept.

    Example: pinpoint run my-model --questions questions.jsonl --config settings.yaml
    """
    settings = typed_settings(
        questions=questions,
        behaviour=behaviour,
        heads=heads,
        projections=projections,
        cache_prefix=cache_prefix,
        wrong_answers=wrong_answers,
        explanations=explanations,
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
        further={
            "phrasings": phrasings,
            "pressure": pressure,
            "sycon": sycon,
            "biography": biography,
            "beliefs": beliefs,
            "feedback": feedback,
        },
        judge=judge_settings(judge, judge_model, judge_endpoint),
    )
    gates = [] if require is None else _gates(require, model, config, settings)
    if dry_run:
        _plan(model, config, settings, out, as_json, fork=fork)
        return
    with started(model, config, settings, out, fork=fork, quiet=quiet, judged=True) as opened:
        opened.all()
    _show(opened, as_json)
    tuned = opened.workspace.read_json("summary.json")["methods"]["pinpoint"]
    if missed := [text for gate in gates if (text := gate.missed(tuned))]:
        raise GateMissed("; ".join(missed) + ".", where=str(opened.workspace.root))


def _gates(require: str, model: str, config: Path | None, settings: dict[str, Any]) -> list["Gate"]:
    """Before anything is done, so that a condition that is none is told at once."""
    from pinpoint.config import resolve

    resolved = resolve(model_path(model), config, settings)
    from pinpoint.behaviours import behaviour_of
    from pinpoint.pipeline import parse_gates

    return parse_gates(require, behaviour_of(resolved.behaviour).measures)


def _plan(
    model: str, config: Path | None, settings: dict[str, Any], out: Path | None, as_json: bool, *, fork: bool
) -> None:
    from pinpoint.config import notices, resolve

    resolved = resolve(model_path(model), config, settings)
    tell_of_code(resolved)
    from pinpoint.cli._plans import print_plan
    from pinpoint.models import load_tokenizer
    from pinpoint.pipeline import Run, changed_keys, copy_of, fitted, folder_for, plan, rendering

    with terminal(quiet=True, stopped="stopped: nothing was written."):
        own = load_tokenizer(resolved.model, resolved.revision, resolved.trust_remote_code)
        tokenizer = rendering(own, resolved)
        resolved, lost = fitted(resolved, tokenizer)
        notes = [lost.failure] if lost else []
        if fork and out is not None and changed_keys(resolved, out):
            # Of a copy that is yet to be made, what is done is done in the folder that it is of.
            copied = copy_of(out, resolved)
            found = plan(Run(resolved, copied if copied.exists() else out), tokenizer, notes)
            found = found.model_copy(update={"folder": str(copied)})
        else:
            folder = folder_for(resolved, out, fork=False)
            found = plan(Run(resolved, folder), tokenizer, notes)
    print_json(found.model_dump()) if as_json else print_plan(found)
    for line in notices(resolved):
        typer.echo(line, err=True)


def demo(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run everything on the shipped sycophantic model: no download, a few minutes on two cores."""
    from pinpoint.config import resolve

    # Unlike `run`, whatever settings the folder had: the demo's own come with the package.
    settings = resolve(model_path("yesman"), None, {})
    with terminal(quiet=quiet) as progress, held(settings, out, progress) as opened:
        opened.all()
    _show(opened, as_json)
