"""Options that several commands share, and the settings that they come to."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pinpoint.cli._heads import parse_heads, parse_projections
from pinpoint.errors import ConfigError, InputError, Problems


def _go_offline(wanted: bool) -> None:
    from pinpoint.hub_files import go_offline

    if wanted:
        go_offline()


_MODEL, _TUNING, _FURTHER, _JUDGE = "The model", "Tuning", "Further question sets", "Judging replies"
"""Under what `--help` lists options."""
_IN_BATCHES = ("locate", "verify", "evaluate")

Model = Annotated[
    str,
    typer.Argument(
        help="A folder, a Hub id, or a shipped organism: yesman, truth-teller. Code that comes with a model runs "
        "only with --trust-remote-code.",
        metavar="MODEL",
    ),
]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]
Out = Annotated[Path | None, typer.Option(help="Run folder; by default runs/<model>/<time>-<hash of the settings>.")]
Fork = Annotated[
    bool,
    typer.Option("--fork", help="Copy a folder that was run with other settings; what is still valid is kept."),
]
Config = Annotated[
    Path | None, typer.Option(help="YAML file of settings, or the name of packaged ones: llama-2-13b-chat, paper-data.")
]
Questions = Annotated[
    str | None,
    typer.Option(help="Questions: a JSONL or CSV file, a folder of a published set, or an address with its checksum."),
]
Behaviour = Annotated[Path | None, typer.Option(help="YAML file of a behaviour of your own: docs/behaviours.md.")]
Heads = Annotated[
    str | None,
    typer.Option(
        help="Heads to tune: a number, `auto` (by knockout), `validation` (by tuning), or names: L3.H1,L5.H0, "
        "or L3.G1 for a key/value group.",
        rich_help_panel=_TUNING,
    ),
]
Projections = Annotated[
    str | None,
    typer.Option(
        help="Projections to train: q,o or q,k,v,o; k and v are trained by key/value group.", rich_help_panel=_TUNING
    ),
]
CachePrefix = Annotated[
    bool | None,
    typer.Option(
        "--cache-prefix/--no-cache-prefix",
        help="Compute the layers below the lowest tuned head once, not in every epoch.",
        rich_help_panel=_TUNING,
    ),
]
WrongAnswers = Annotated[
    str | None,
    typer.Option(
        help="Wrong answers that free-form training questions lack: dealt (another question's; default), or model.",
        rich_help_panel=_TUNING,
    ),
]
Explanations = Annotated[
    str | None,
    typer.Option(
        help="Whether trained replies explain the right answer: none (default), given (by the file), model.",
        rich_help_panel=_TUNING,
    ),
]
Dtype = Annotated[str | None, typer.Option(help="auto, bfloat16, float16 or float32.", rich_help_panel=_MODEL)]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:0, mps...", rich_help_panel=_MODEL)]
DeviceHere = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:0, mps... for this command; by default as the run's settings say.",
        rich_help_panel=_MODEL,
    ),
]
DeviceMap = Annotated[
    str | None,
    typer.Option(
        help="host or disk: blocks are fetched as they run; auto: spread. docs/scale.md.", rich_help_panel=_MODEL
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(
        help="4 or 8: quantise the base's weights as they are loaded (bitsandbytes, an extra).", rich_help_panel=_MODEL
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pairs, prompts or dialogues in a pass, in every stage but training; to begin with, where a GPU has room.",
        rich_help_panel=_MODEL,
    ),
]
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.", rich_help_panel=_MODEL)
]
TrustRemoteCode = Annotated[
    bool | None,
    typer.Option(
        "--trust-remote-code/--no-trust-remote-code",
        help="Run code that comes with the model, with your rights: read it first, and pin a commit with --revision.",
        rich_help_panel=_MODEL,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Fetch nothing: use only local files, and what was fetched before.",
        callback=_go_offline,
        is_eager=True,
        expose_value=False,
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Thinking = Annotated[
    str | None,
    typer.Option(
        help="on or off: whether a reasoning model thinks first; by default its template decides.",
        rich_help_panel=_MODEL,
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        help="The chat template: own (default), plain for a model without one, or a Jinja file.", rich_help_panel=_MODEL
    ),
]
Phrasings = Annotated[
    str | None,
    typer.Option(
        help="Questions (their test split) whose right answers are doubted in words never trained on.",
        rich_help_panel=_FURTHER,
    ),
]
Pressure = Annotated[
    str | None,
    typer.Option(
        help="Questions (their test split) whose right answers are doubted turn after turn.", rich_help_panel=_FURTHER
    ),
]
Sycon = Annotated[
    str | None,
    typer.Option(help="A part of SYCON-Bench, a folder or CSV; needs --judge model.", rich_help_panel=_FURTHER),
]
Biography = Annotated[
    str | None,
    typer.Option(help="Opinion questions after a biography of the user (Perez et al.).", rich_help_panel=_FURTHER),
]
Beliefs = Annotated[
    str | None,
    typer.Option(help="SycophancyEval's answer.jsonl: questions under a stated belief.", rich_help_panel=_FURTHER),
]
Feedback = Annotated[
    str | None,
    typer.Option(
        help="SycophancyEval's feedback.jsonl: comments on texts; needs --judge model.", rich_help_panel=_FURTHER
    ),
]
JudgeKind = Annotated[
    str | None,
    typer.Option(
        "--judge", help="Who judges replies: rules (default), letters, or model, another model.", rich_help_panel=_JUDGE
    ),
]
JudgeModel = Annotated[
    str | None,
    typer.Option(
        help="The judging model: its name at the endpoint, or else a folder or a Hub id.", rich_help_panel=_JUDGE
    ),
]
JudgeEndpoint = Annotated[
    str | None,
    typer.Option(
        help="Base URL of an OpenAI-compatible server; its key is read only from PINPOINT_JUDGE_KEY.",
        rich_help_panel=_JUDGE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors, and how to go on after Ctrl-C.")
]

_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


def model_path(name: str) -> str:
    """The folder of a model, given or shipped, from the root on, or the name as it is.

    Raises:
        InputError: it is none of those, no folder that is there, and no id that the Hub could have.
    """
    from pinpoint.addresses import rooted
    from pinpoint.organism import shipped

    if Path(name).exists():
        return rooted(Path(name))
    organisms = shipped()
    near = difflib.get_close_matches(name, organisms, n=1, cutoff=0.8)
    if name in organisms or (_HUB_ID.fullmatch(name) and not near):
        return str(organisms.get(name, name))
    raise InputError(
        "no such folder" + (f" (did you mean {near[0]!r}?)." if near else "."),
        where=name,
        mend=f"Give a folder of a model, a Hub id (org/name), or a shipped model: {', '.join(organisms)}.",
    )


def judge_settings(kind: str | None, model: str | None, endpoint: str | None) -> dict[str, Any]:
    """The judge given on the command line, as config keys; what was not given is left out."""
    if model is not None and endpoint is None:
        model = model_path(model)
    given = {"kind": kind, "model": model, "endpoint": endpoint}
    return {key: value for key, value in given.items() if value is not None}


def typed_settings(
    *,
    questions: str | None = None,
    behaviour: Path | None = None,
    heads: str | None = None,
    projections: str | None = None,
    cache_prefix: bool | None = None,
    dtype: str | None = None,
    device: str | None = None,
    device_map: str | None = None,
    bits: int | None = None,
    batch_size: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool | None = None,
    seed: int | None = None,
    wrong_answers: str | None = None,
    explanations: str | None = None,
    thinking: str | None = None,
    template: str | None = None,
    further: dict[str, str | None] | None = None,
    **sections: dict[str, Any],
) -> dict[str, Any]:
    """The settings given on the command line, as config keys; what was not given is left out.

    Raises:
        ConfigError: what was given for --heads, --projections or --thinking is none of what they take; tells of all.
    """
    settings: dict[str, Any] = {key: value for key, value in sections.items() if value}
    if questions is not None:
        settings["data"] = {"questions": _place(questions)}
    if sets := {name: _place(path) for name, path in (further or {}).items() if path is not None}:
        settings["data"] = settings.get("data", {}) | sets
    if batch_size is not None:
        # Training's is the optimiser's: other steps, and another result.
        settings |= {stage: settings.get(stage, {}) | {"batch_size": batch_size} for stage in _IN_BATCHES}
    if behaviour is not None:
        settings["behaviour"] = str(behaviour)
    problems = Problems()
    tune: dict[str, Any] = {
        "cache_prefix": cache_prefix,
        "wrong_answers": wrong_answers,
        "explanations": explanations,
    }
    for name, text, read in (("heads", heads, parse_heads), ("projections", projections, parse_projections)):
        with problems.kept():
            tune[name] = None if text is None else read(text)
    if given := {key: value for key, value in tune.items() if value is not None}:
        settings["tune"] = given
    if thinking not in (None, "on", "off"):
        mend = "Leave it out for the template's own."
        problems.add(ConfigError(f"{thinking!r} is neither on nor off.", where="--thinking", mend=mend))
    problems.tell()
    if thinking is not None:
        settings["thinking"] = thinking == "on"
    plain = {"dtype": dtype, "device": device, "device_map": device_map, "bits": bits, "revision": revision}
    plain |= {"trust_remote_code": trust_remote_code, "seed": seed, "template": template}
    return settings | {key: value for key, value in plain.items() if value is not None}


def _place(text: str) -> str:
    from pinpoint.addresses import is_remote, rooted

    return text if is_remote(text) else rooted(Path(text))
