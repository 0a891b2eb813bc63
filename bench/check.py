"""`pinpoint check` on the public configs of four models, without weights: seconds, and the parameters it counts.

Each config lies in a folder with a tokenizer and a template that are stand-ins, written in the manner of the model's.
Writes bench/results/check.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions, commit, worked  # noqa: E402
from pinpoint.organism import shipped  # noqa: E402
from tests.pipeline.test_inspect import PUBLISHED  # noqa: E402
from tests.test_configs import TEMPLATES  # noqa: E402

LABEL = "stand-in: the shipped organism's tokenizer, a template in the manner of the model's"


def stand_in(name: str, folder: Path) -> None:
    """The public config of a model beside a tokenizer and a template that are not its own; no weights."""
    AutoConfig.for_model(**PUBLISHED[name][0]).save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(str(shipped()["yesman"])).save_pretrained(str(folder))
    [template] = [text for family, text in TEMPLATES.items() if family in name.lower()]
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def checked(name: str) -> dict[str, Any]:
    """What the command says of one model, and how long it took: by the wall and by the processor."""
    with tempfile.TemporaryDirectory() as folder:
        stand_in(name, Path(folder))
        began, own = time.perf_counter(), worked()
        command = [sys.executable, "-m", "pinpoint", "check", folder, "--device", "cpu", "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, processor = time.perf_counter() - began, worked() - own
        files = sorted(path.name for path in Path(folder).iterdir())
    found = json.loads(done.stdout)
    shape = {key: found[key] for key in ("architecture", "layers", "heads", "kv_heads", "parameters", "chat_template")}
    assert not [one for one in files if one.endswith((".safetensors", ".bin"))]
    return {"model": name, "tokenizer": LABEL, **shape, "seconds": seconds, "processor_seconds": processor}


def main() -> None:
    """Checks the four and writes the record."""
    conditions = Conditions()
    rows = [checked(name) for name in PUBLISHED]
    record = {"command": "python bench/check.py", "machine": conditions.told(), "commit": commit(), "rows": rows}
    (HERE / "results" / "check.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
