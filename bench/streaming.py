"""Peak memory of locating on a model whose blocks are read from disk as they run, beside the same model in memory.

Writes bench/results/streaming.json. The peak is a process's largest resident size less what the imports take.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions, commit  # noqa: E402
from tests.locate import offloaded  # noqa: E402


def run(*arguments: str) -> str:
    """What `tests.locate.offloaded` prints, in a process with glibc's own settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-m", "tests.locate.offloaded", *arguments]
    return subprocess.run(command, env=environment, cwd=HERE.parent, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Measures both and writes the record."""
    conditions, peaks, effects = Conditions(), {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("make", str(folder / "model"))
        for where in ("disk", "memory"):
            out = folder / f"{where}.safetensors"
            told = run("locate", str(folder / "model"), where.replace("memory", ""), str(out))
            peaks[where], effects[where] = json.loads(told)["peak"], load_file(out)["effects"]
    apart = (effects["disk"] - effects["memory"]).abs().max() / effects["memory"].abs().max()
    record = {
        "command": "python bench/streaming.py",
        "machine": conditions.told(),
        "commit": commit(),
        "weights": offloaded.BYTES,
        "block": offloaded.BYTES // offloaded.LAYERS,
        "peaks": peaks,
        "difference": float(apart),
    }
    (HERE / "results" / "streaming.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
