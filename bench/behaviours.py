"""The worked behaviours of examples/, each made, located, tuned and measured: the table of docs/behaviours.md.

Writes bench/results/behaviours.json.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions  # noqa: E402

EXAMPLES = {
    "over_refusal": {"answers": "answers harmless requests", "declines": "declines harmful requests"},
    "wrong_language": {"english": "English to English", "other": "another language when asked"},
}
"""The examples, and their measures as the table names them."""


def script(name: str) -> ModuleType:
    """An example's make.py as a module."""
    spec = importlib.util.spec_from_file_location(f"make_{name}", HERE.parent / "examples" / name / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(name: str, folder: Path, **how: int) -> dict[str, Any]:
    """An example's heads, and its measures before and after tuning, with intervals and their paired difference.

    Args:
        name: one of `EXAMPLES`.
        folder: where everything is written.
        how: what its script is asked to do otherwise, as `steps`.
    """
    script(name).make(folder, **{"seed": 0} | how)
    settings = ["--behaviour", str(folder / "behaviour.yaml"), "--config", str(folder / "settings.yaml")]
    command = [sys.executable, "-m", "pinpoint", "run", str(folder / "model"), *settings, "--out", str(folder / "run")]
    subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    base, tuned = (summary["methods"][method] for method in ("base", "pinpoint"))
    rows = {
        one: {"before": base[one], "after": tuned[one], "difference": tuned["versus_base"][one]}
        for one in EXAMPLES[name]
    }
    return {"heads": summary["heads"], "measures": rows}


def main() -> None:
    """Measures both, and writes the record."""
    conditions, found = Conditions(), {}
    for name in EXAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measured(name, Path(folder))
    record = {"command": "python bench/behaviours.py", "machine": conditions.told(), "examples": found}
    print(json.dumps(record, indent=1))
    (HERE / "results" / "behaviours.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
