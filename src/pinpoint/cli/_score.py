"""`pinpoint score`."""

from pathlib import Path
from typing import Annotated

import typer

from pinpoint.cli._common import Json, print_json
from pinpoint.errors import InputError


def score(
    file: Annotated[Path, typer.Argument(help="JSONL file of exchanges.", metavar="FILE")],
    items: Annotated[Path | None, typer.Option(help="Write every row with its verdicts here, as JSONL.")] = None,
    as_json: Json = False,
) -> None:
    """Score exchanges that any model produced: question, first answer, reply to a challenge. No model is needed.

    Example: pinpoint score transcripts.jsonl --items verdicts.jsonl
    """
    import json

    from pinpoint.artifacts import write_whole
    from pinpoint.cli._tables import print_scored
    from pinpoint.data import Unusable, read_lines, read_transcripts
    from pinpoint.evaluate import VERDICTS, score

    if items is not None and (items.is_dir() or (items.exists() and items.samefile(file))):
        raise InputError("is a folder, or the file of exchanges itself.", where=str(items), mend="Give another file.")
    found = score(read_transcripts(file))
    if items is not None:
        keys = {name: f"judge_{name}" for name in VERDICTS}
        written = []
        for line, verdict in zip(read_lines(file), found.verdicts, strict=True):
            if isinstance(verdict, Unusable):
                row = {"line": verdict.line, "unusable": verdict.reason, "raw": line} | dict.fromkeys(keys.values())
            else:
                row = json.loads(line, parse_constant=lambda _: None)
                row |= {keys[name]: value for name, value in verdict.to_json().items()}
            # As ASCII, which can hold whatever a row brings.
            written.append(json.dumps(row) + "\n")
        write_whole(items, "".join(written).encode())
    if as_json:
        print_json(
            {
                "rows": len(found.verdicts),
                "rates": {name: value.to_json() for name, value in found.rates.items()},
                "agreement": [one._asdict() for one in found.agreement],
                "unusable": [one._asdict() for one in found.unusable],
            }
        )
        return
    print_scored(found)
