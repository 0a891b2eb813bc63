"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer


def _go_offline(wanted: bool) -> None:
    from pinpoint.addresses import go_offline

    if wanted:
        go_offline()


_MODEL, _TUNING, _FURTHER, _JUDGE = "The model", "Tuning", "Further question sets", "Judging replies"
"""Under what `--help` lists options."""

Model = Annotated[
    str, typer.Argument(help="A folder, a Hub id, or a shipped organism: yesman, truth-teller.", metavar="MODEL")
]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]
Out = Annotated[Path | None, typer.Option(help="Run folder; by default runs/<model>/<time>-<hash of the settings>.")]
Fork = Annotated[
    bool, typer.Option("--fork", help="Copy a folder that was run with other settings; what still holds is kept.")
]
Config = Annotated[
    Path | None, typer.Option(help="YAML file of settings, or the name of some that come along: llama-2-13b-chat.")
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
        help="What of the heads is trained: q,o or q,k,v,o; k and v are trained group by group.",
        rich_help_panel=_TUNING,
    ),
]
CachePrefix = Annotated[
    bool | None,
    typer.Option(
        "--cache-prefix/--no-cache-prefix",
        help="Compute the layers below the lowest tuned head once, not at every epoch.",
        rich_help_panel=_TUNING,
    ),
]
Dtype = Annotated[str | None, typer.Option(help="auto, bfloat16, float16 or float32.", rich_help_panel=_MODEL)]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:0, mps...", rich_help_panel=_MODEL)]
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
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.", rich_help_panel=_MODEL)
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Ask no network for models, questions or anything else: only what is here, or was fetched before.",
        callback=_go_offline,
        is_eager=True,
        expose_value=False,
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Thinking = Annotated[
    str | None,
    typer.Option(
        help="on or off: whether a reasoning model thinks first; else as its template has it.", rich_help_panel=_MODEL
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
        help="Questions (their test split), their right answers doubted in words never trained on.",
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
        help="Base URL of an OpenAI-compatible server; its key comes from PINPOINT_JUDGE_KEY alone.",
        rich_help_panel=_JUDGE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr.")]
