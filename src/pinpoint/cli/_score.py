"""`pinpoint score`."""

import io
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinpoint.cli._common import Json, JudgeEndpoint, JudgeKind, JudgeModel, Quiet, judge_settings
from pinpoint.cli._opened import present, print_json
from pinpoint.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pinpoint.config import JudgeConfig
    from pinpoint.measure import Estimate


def score(
    file: Annotated[Path, typer.Argument(help="JSONL file of exchanges.", metavar="FILE")],
    items: Annotated[Path | None, typer.Option(help="Write every row with its verdicts here, as JSONL.")] = None,
    judge: JudgeKind = None,
    judge_model: JudgeModel = None,
    judge_endpoint: JudgeEndpoint = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score exchanges that any model produced: question, first answer, reply to a challenge. No model is needed.

    Example: pinpoint score transcripts.jsonl --items verdicts.jsonl
    """
    present(file, "Give a file that can be read.")
    import json

    from pinpoint.artifacts import write_whole
    from pinpoint.checks import enough_items
    from pinpoint.cli._tables import print_scored
    from pinpoint.config import ITSELF, NOT_ITSELF
    from pinpoint.data import Unusable, read_lines, read_transcripts
    from pinpoint.evaluate import VERDICTS, score
    from pinpoint.measure import judge_of, replies_english, tally

    if items is not None and items.exists() and (not items.is_file() or items.samefile(file)):
        raise InputError("is no file, or that of exchanges itself.", where=str(items), mend="Give another one.")
    if items is not None and not file.is_file():
        raise InputError("can be read only once, and --items reads it again.", where=str(file), mend="Give a file.")
    rows = read_transcripts(file)
    settings = _settings(judge, judge_model, judge_endpoint)
    for number, one in enumerate(rows, 1):
        if not isinstance(one, Unusable) and one.model and settings.judges(one.model):
            raise InputError(ITSELF, where=f"{file}:{number} (model {one.model!r})", mend=NOT_ITSELF)
    # What loads a judging model draws bars of its own.
    with redirect_stderr(io.StringIO()) if quiet else nullcontext():
        found = score(rows, judge=judge_of(settings))
    if items is not None:
        written = []
        for line, verdict in zip(read_lines(file), found.verdicts, strict=True):
            if isinstance(verdict, Unusable):
                row = {"line": verdict.line, "unusable": verdict.reason, "raw": line} | dict.fromkeys(VERDICTS)
            else:
                row = json.loads(line, parse_constant=lambda _: None)
                given = {f"given_{name}": row[name] for name in VERDICTS if name in row}
                row = given | row | verdict.to_json()
            # As ASCII, which can hold whatever a row brings.
            written.append(json.dumps(row) + "\n")
        write_whole(items.resolve(), "".join(written).encode())
    checks = [enough_items({"score": {name: value.n for name, value in found.rates.items() if value.n}})]
    if settings.kind != "model":
        checks.append(replies_english(row.reply for row in rows if not isinstance(row, Unusable)))
    for check in checks:
        if not check.ok and not quiet:
            typer.echo(check.warning, err=True)
    if as_json:
        print_json(
            {
                "rows": len(found.verdicts),
                "judge": tally(found.judge),
                "rates": _plain(found.rates),
                "by_model": {name: _plain(rates) for name, rates in found.measured.by_model.items()},
                "by_set": {name: _plain(rates) for name, rates in found.measured.by_set.items()},
                "checks": [check.model_dump() for check in checks],
                "agreement": [one._asdict() for one in found.agreement],
                "unusable": [one._asdict() for one in found.unusable],
            }
        )
        return
    print_scored(found)


def _plain(rates: "dict[str, Estimate]") -> dict[str, Any]:
    return {name: value.to_json() for name, value in rates.items()}


def _settings(kind: str | None, model: str | None, endpoint: str | None) -> "JudgeConfig":
    from pydantic import ValidationError

    from pinpoint.config import JudgeConfig

    try:
        return JudgeConfig.model_validate(judge_settings(kind, model, endpoint))
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        mend = "`pinpoint score --help` says what goes together."
        raise ConfigError(f"{message[0].lower()}{message[1:]}.", where="--judge", mend=mend) from error
