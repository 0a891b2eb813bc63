"""`pinpoint compare yesman`, or its `--quick`: what docs/results/compare.md shows, and how long it takes.

Writes bench/results/compare.json, or compare_quick.json. The seconds are of the wall; the record says what else was
running. With --out the run folder is kept, for the page's picture, and gone on with.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions, commit  # noqa: E402


def main() -> None:
    """Runs the comparison and writes the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few methods, few items, no search")
    parser.add_argument("--out", help="where to keep the run folder")
    given = parser.parse_args()
    conditions, began = Conditions(), time.perf_counter()
    more = ["--quick"] if given.quick else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pinpoint", "compare", "yesman", *more, "--out", given.out or folder, "--json"]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    provenance = found.pop("provenance")
    record = {
        "command": " ".join(["python bench/compare.py", *more]),
        "commit": commit(),
        "machine": conditions.told(),
        "seconds": round(time.perf_counter() - began),
        **found,
        # Not where they lie on this machine.
        "model": Path(found["model"]).name,
        "provenance": provenance | {"command": provenance["command"].replace(f" --out {folder}", "")},
    }
    name = "compare_quick.json" if given.quick else "compare.json"
    (HERE / "results" / name).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
