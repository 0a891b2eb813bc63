"""`pinpoint demo` from an empty folder: how long it takes and what it measures, as the README's table has it.

Writes bench/results/demo.json. The seconds are of the wall; the record says what else was running. With --out the run
folder is kept, with its page.
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

from bench._record import Conditions  # noqa: E402

KEPT = ("heads", "methods", "locate", "total_parameters", "checks")
VERIFIED = ("curve", "generated")


def main() -> None:
    """Runs the demo and writes the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", help="where to keep the run folder; it must be new")
    given = parser.parse_args()
    conditions, began = Conditions(), time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.out or scratch
        command = [sys.executable, "-m", "pinpoint", "demo", "--out", folder, "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
        verified = json.loads((Path(folder) / "verify/verify.json").read_text(encoding="utf-8"))
    record = {
        "command": "python bench/demo.py",
        "machine": conditions.told(),
        "seconds": round(time.perf_counter() - began),
        **{name: summary[name] for name in KEPT},
        "verify": {name: verified[name] for name in VERIFIED},
    }
    (HERE / "results" / "demo.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
