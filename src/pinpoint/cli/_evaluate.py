"""`pinpoint evaluate`: the models of a run, or one behind an endpoint."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pinpoint.cli._common import (
    Behaviour,
    Beliefs,
    Biography,
    Config,
    DeviceHere,
    Feedback,
    Json,
    JudgeEndpoint,
    JudgeKind,
    JudgeModel,
    Offline,
    Phrasings,
    Pressure,
    Questions,
    Quiet,
    Sycon,
    judge_settings,
    typed_settings,
)
from pinpoint.cli._opened import print_json, terminal
from pinpoint.cli._stages import opened
from pinpoint.errors import ConfigError

EndpointOut = Annotated[
    Path | None,
    typer.Option(
        help="With --endpoint, where to write; by default runs/<model>/endpoint-<hash of the settings>. "
        "A run is evaluated in its own folder."
    ),
]


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="A run folder; none with --endpoint.", metavar="[RUN]")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Base URL of an OpenAI-compatible API, such as http://localhost:8000/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --endpoint: the model's name there.")] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(
            help="With --endpoint: the environment variable that holds the key. Without it, OPENAI_API_KEY goes to "
            "api.openai.com and to this machine alone."
        ),
    ] = None,
    questions: Questions = None,
    behaviour: Behaviour = None,
    config: Config = None,
    phrasings: Phrasings = None,
    pressure: Pressure = None,
    sycon: Sycon = None,
    biography: Biography = None,
    beliefs: Beliefs = None,
    feedback: Feedback = None,
    judge: JudgeKind = None,
    judge_model: JudgeModel = None,
    judge_endpoint: JudgeEndpoint = None,
    out: EndpointOut = None,
    device: DeviceHere = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate the models of a run on the same items; or a model behind an endpoint, by its replies alone.

    For general abilities by lm-eval's tasks, on a run's adapter and merged model: `pinpoint capability RUN`.

    Example: pinpoint evaluate runs/yesman --json

    Example: pinpoint evaluate --endpoint http://localhost:8000/v1 --model NAME --questions questions.jsonl
    """
    further = {
        "phrasings": phrasings,
        "pressure": pressure,
        "sycon": sycon,
        "biography": biography,
        "beliefs": beliefs,
        "feedback": feedback,
    }
    remote = {
        "--model": model,
        "--key-variable": key_variable,
        "--questions": questions,
        "--behaviour": behaviour,
        "--config": config,
        **{f"--{name}": path for name, path in further.items()},
        "--judge": judge,
        "--judge-model": judge_model,
        "--judge-endpoint": judge_endpoint,
        "--out": out,
    }
    if endpoint is None:
        given = [name for name, value in remote.items() if value is not None]
        if run is None or given:
            what = f"{given[0]} goes with --endpoint." if given else "neither a run folder nor --endpoint is given."
            raise ConfigError(what, where="evaluate", mend="Give a run folder alone, or --endpoint and --model.")
        _of_run(run, device, as_json, quiet)
        return
    if run is not None or not model:
        what = "a run folder and --endpoint are both given." if run is not None else "--endpoint needs --model."
        raise ConfigError(what, where="evaluate", mend="Give a run folder alone, or --endpoint and --model.")
    judged = judge_settings(judge, judge_model, judge_endpoint)
    typed = typed_settings(questions=questions, behaviour=behaviour, further=further, device=device, judge=judged)
    _of_endpoint(endpoint, model, key_variable, config, typed, out, as_json, quiet)


def _of_run(run: Path, device: str | None, as_json: bool, quiet: bool) -> None:
    from pinpoint.cli._tables import print_summary

    with opened(run, quiet, device=device) as held:
        from pinpoint.pipeline import demand_before

        demand_before(held, "evaluate")
        held.do("evaluate")
    summary = held.workspace.read_json("summary.json")
    print_json(summary) if as_json else print_summary(summary, held.inputs.behaviour)


def _of_endpoint(
    url: str,
    model: str,
    key_variable: str | None,
    config: Path | None,
    typed: dict[str, Any],
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from pinpoint.config import notices, resolve
    from pinpoint.endpoint import Endpoint

    asked = Endpoint(url, model, key_variable)
    settings = resolve(model, config, typed)
    from pinpoint.behaviours import behaviour_of
    from pinpoint.cli._tables import print_replies
    from pinpoint.pipeline import endpoint_folder, evaluate_endpoint, locked

    folder = endpoint_folder(settings, out)
    with terminal(quiet=quiet) as progress, locked(folder):
        progress.say(f"folder: {folder}")
        for line in notices(settings):
            progress.say(line)
        summary = evaluate_endpoint(settings, asked, folder, progress)
    print_json(summary) if as_json else print_replies(summary, behaviour_of(settings.behaviour))
