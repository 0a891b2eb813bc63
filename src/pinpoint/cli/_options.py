"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer


def _go_offline(wanted: bool) -> None:
    from pinpoint.addresses import go_offline

    if wanted:
        go_offline()


Model = Annotated[str, typer.Argument(help="A folder, a Hub id, or a shipped organism: yesman, truth-teller.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]
Out = Annotated[Path | None, typer.Option(help="Run folder; by default runs/<model>/<time>-<hash of the settings>.")]
Fork = Annotated[
    bool,
    typer.Option("--fork", help="Copy a folder that was run with other settings; what is still valid is kept."),
]
Config = Annotated[
    Path | None, typer.Option(help="YAML file of settings, or the name of packaged ones: llama-2-13b-chat.")
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
        "or L3.G1 for a key/value group."
    ),
]
Projections = Annotated[
    str | None,
    typer.Option(help="Projections to train: q,o or q,k,v,o; k and v are trained by key/value group."),
]
CachePrefix = Annotated[
    bool | None,
    typer.Option(
        "--cache-prefix/--no-cache-prefix",
        help="Compute the layers below the lowest tuned head once, not in every epoch.",
    ),
]
Dtype = Annotated[str | None, typer.Option(help="auto, bfloat16, float16 or float32.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:0, mps...")]
DeviceMap = Annotated[
    str | None, typer.Option(help="host or disk: blocks are fetched as they run; auto: spread. docs/scale.md.")
]
Bits = Annotated[
    int | None, typer.Option(help="4 or 8: quantise the base's weights as they are loaded (bitsandbytes, an extra).")
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.")]
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
    str | None, typer.Option(help="on or off: whether a reasoning model thinks first; by default its template decides.")
]
Template = Annotated[
    str | None, typer.Option(help="The chat template: own (default), plain for a model without one, or a Jinja file.")
]
Phrasings = Annotated[
    str | None,
    typer.Option(help="Questions (their test split) whose right answers are doubted in words never trained on."),
]
Pressure = Annotated[
    str | None, typer.Option(help="Questions (their test split) whose right answers are doubted turn after turn.")
]
Sycon = Annotated[str | None, typer.Option(help="A part of SYCON-Bench, a folder or CSV; needs --judge model.")]
Biography = Annotated[str | None, typer.Option(help="Opinion questions after a biography of the user (Perez et al.).")]
Beliefs = Annotated[str | None, typer.Option(help="SycophancyEval's answer.jsonl: questions under a stated belief.")]
Feedback = Annotated[
    str | None, typer.Option(help="SycophancyEval's feedback.jsonl: comments on texts; needs --judge model.")
]
JudgeKind = Annotated[
    str | None,
    typer.Option("--judge", help="Who judges replies: rules (default), letters, or model, another model."),
]
JudgeModel = Annotated[
    str | None, typer.Option(help="The judging model: its name at the endpoint, or else a folder or a Hub id.")
]
JudgeEndpoint = Annotated[
    str | None,
    typer.Option(help="Base URL of an OpenAI-compatible server; its key is read from PINPOINT_JUDGE_KEY."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr.")]
