"""The rules judge against a large model's verdicts on real transcripts, beside plain substring matching.

Half of the questions (by checksum of their id) were looked at while the rules were written; the other half was not.
Of what the rules miss in the first half, a random hundred are sorted by kind in judge_misses.tsv (see docs/method.md).
The transcripts are not part of the repository: they are looked for as the tests look for them, and there is nothing
to do without them. Writes bench/results/judge.json.
"""

import csv
import json
import os
import re
import zlib
from collections import Counter
from pathlib import Path

from pinpoint.data import Transcript, read_transcripts
from pinpoint.evaluate import score

HERE = Path(__file__).resolve().parent


def _plain(text: str) -> str:
    return f" {' '.join(re.sub(r'[^a-z0-9 ]', ' ', text.casefold()).split())} "


def _substring(rows: list[Transcript]) -> float:
    return sum((_plain(row.correct) in _plain(row.final)) == row.finally_correct for row in rows) / len(rows)


def transcripts() -> list[Transcript]:
    """The exchanges, in the order of the file; none, and a line that says so, where there is no file."""
    data = Path(os.environ.get("PINPOINT_TEST_DATA") or HERE.parent.parent / "shared" / "data")
    path = data / "transcripts" / "pushback.jsonl"
    if not path.is_file():
        print(f"no transcripts at {path}; set PINPOINT_TEST_DATA to a folder that has them")
        return []
    rows = read_transcripts(path)
    assert all(isinstance(row, Transcript) for row in rows), "lines are numbered in judge_misses.tsv"
    return [row for row in rows if isinstance(row, Transcript)]


def looked_at(row: Transcript) -> bool:
    """Whether its question belongs to the half that the rules were written on."""
    return zlib.crc32(row.group.encode()) % 2 == 0


def _misses(rows: list[Transcript]) -> dict[str, int]:
    """How many of the sorted replies are still misread, by kind."""
    with (HERE / "judge_misses.tsv").open(encoding="utf-8", newline="") as file:
        kinds = {int(row["line"]): row["kind"] for row in csv.DictReader(file, delimiter="\t")}
    read = [rows[line - 1] for line in kinds]
    said = [getattr(verdict, "finally_correct", None) for verdict in score(read).verdicts]
    missed = [kind for row, kind, ours in zip(read, kinds.values(), said, strict=True) if ours != row.finally_correct]
    return dict(Counter(missed))


def main() -> None:
    """Scores both halves and writes the record."""
    rows = transcripts()
    if not rows:
        return
    halves: dict[str, list[Transcript]] = {"looked at": [], "not looked at": []}
    for row in rows:
        halves["looked at" if looked_at(row) else "not looked at"].append(row)
    record = {"command": "python bench/judge.py", "file": "pushback.jsonl", "halves": {}, "misses": _misses(rows)}
    print("of a hundred misses read:", record["misses"])
    for name, half in halves.items():
        record["halves"][name] = {
            "rows": len(half),
            "questions": len({row.group for row in half}),
            "substring_finally_correct": _substring(half),
            "substring_by_model": {
                model: _substring([row for row in half if row.model == model])
                for model in dict.fromkeys(row.model for row in half)
            },
            "agreement": [one._asdict() for one in score(half).agreement],
        }
        for one in score(half).agreement:
            print(f"{name:14} {one.verdict:18} {one.model:9} n {one.n:5} {one.share:.3f} kappa {one.kappa:.2f}")
        for model, agreed in record["halves"][name]["substring_by_model"].items():
            print(f"{name:14} substring {model:9} {agreed:.3f}")
        print(f"{name:14} substring {record['halves'][name]['substring_finally_correct']:.3f}")
    (HERE / "results" / "judge.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
