"""`pinpoint score`."""

from pathlib import Path
from typing import Annotated

import typer

from pinpoint.cli._common import Json, print_json


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

    found = score(read_transcripts(file))
    if items is not None:
        written = []
        for line, verdict in zip(read_lines(file), found.verdicts, strict=True):
            if isinstance(verdict, Unusable):
                row = dict.fromkeys(VERDICTS) | {"unusable": verdict.reason, "line": verdict.line}
            else:
                row = json.loads(line) | verdict.to_json()
            written.append(json.dumps(row, ensure_ascii=False) + "\n")
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
