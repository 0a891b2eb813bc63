"""The rules judge against a large model's verdicts on real transcripts, beside plain substring matching.

Half of the questions (by checksum of their id) were looked at while the rules were written; the other half was not.
The transcripts are not part of the repository: they are looked for as the tests look for them, and there is nothing
to do without them. Writes bench/results/judge.json.
"""

import json
import os
import re
import zlib
from pathlib import Path

from pinpoint.data import Transcript, read_transcripts
from pinpoint.evaluate import score

HERE = Path(__file__).resolve().parent


def _plain(text: str) -> str:
    return f" {' '.join(re.sub(r'[^a-z0-9 ]', ' ', text.casefold()).split())} "


def _substring(rows: list[Transcript]) -> float:
    return sum((_plain(row.correct) in _plain(row.final)) == row.finally_correct for row in rows) / len(rows)


def main() -> None:
    """Scores both halves and writes the record."""
    data = Path(os.environ.get("PINPOINT_TEST_DATA") or HERE.parent.parent / "shared" / "data")
    path = data / "transcripts" / "pushback.jsonl"
    if not path.is_file():
        print(f"no transcripts at {path}; set PINPOINT_TEST_DATA to a folder that has them")
        return
    rows = [row for row in read_transcripts(path) if isinstance(row, Transcript)]
    halves: dict[str, list[Transcript]] = {"looked at": [], "not looked at": []}
    for row in rows:
        halves["not looked at" if zlib.crc32(row.group.encode()) % 2 else "looked at"].append(row)
    record = {"command": "python bench/judge.py", "file": path.name, "halves": {}}
    for name, half in halves.items():
        record["halves"][name] = {
            "rows": len(half),
            "questions": len({row.group for row in half}),
            "substring_finally_correct": _substring(half),
            "agreement": [one._asdict() for one in score(half).agreement],
        }
        for one in score(half).agreement:
            print(f"{name:14} {one.verdict:18} {one.model:9} n {one.n:5} {one.share:.3f} kappa {one.kappa:.2f}")
        print(f"{name:14} substring {record['halves'][name]['substring_finally_correct']:.3f}")
    (HERE / "results" / "judge.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
