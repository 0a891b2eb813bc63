"""What is supported, as measured: runs the checks of the tests on a tiny model of every known architecture.

Writes bench/results/families.json and the table docs/families.md.
"""

import json
import platform
import sys
from pathlib import Path

import torch
import transformers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pinpoint.models import headed  # noqa: E402
from pinpoint.tune import default_projections  # noqa: E402
from tests.families import FAMILIES, tiny  # noqa: E402
from tests.models import checks  # noqa: E402

INTRODUCTION = """# Architectures

Each row is a tiny random model built from its config, in float32 on a CPU, with the family's features set so that they
bite (a soft cap of 5, a window of 8 positions). *Locate*: largest difference between the sweep and brute force,
relative to the largest effect. *Verify*: a zero knockout against zeroed columns of the out projection. *Tune*: the
merged model against the live adapter. Heads are query heads / key-value heads; *tunes* is what is trained unless told
otherwise.
The tests hold the first to 1e-4 and the others to 1e-5, and check besides that padding and batching do not matter, that
the rows of a head move that head alone, and that experts are chosen alike. No real checkpoint has been run.

"""


def _row(family: str) -> dict[str, object]:
    model = tiny(family)
    view = headed(model)
    projections = default_projections(view)
    row = {
        "family": family,
        "model_type": model.config.model_type,
        "config": type(model.config).__name__,
        "heads": f"{view.n_heads} / {view.n_kv_heads}",
        "locate": checks.locate_difference(model),
        "verify": checks.knockout_difference(model),
        "tune": checks.tune_difference(model, projections),
        "projections": projections,
        "notes": view.layout.notes,
    }
    print(row)
    return row


def table(rows: list[dict[str, object]]) -> str:
    """The Markdown table of the docs."""
    lines = [
        "| family | config | heads | locate | verify | tune | tunes | notes |",
        "|---|---|---|--:|--:|--:|---|---|",
    ]
    for row in rows:
        figures = " | ".join(f"{row[name]:.0e}" for name in ("locate", "verify", "tune"))
        named = " | ".join(str(row[name]) for name in ("family", "config", "heads"))
        lines.append(f"| {named} | {figures} | {row['projections']} | {row['notes']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every family and writes the record and the table."""
    rows = [_row(family) for family in FAMILIES]
    record = {
        "command": "python bench/families.py",
        "machine": f"{platform.machine()}, CPU",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "rows": rows,
    }
    (ROOT / "bench/results/families.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    made = (
        f"Written by `python bench/families.py` (torch {torch.__version__}, transformers {transformers.__version__}).\n"
    )
    (ROOT / "docs/families.md").write_text(INTRODUCTION + table(rows) + "\n" + made, encoding="utf-8")


if __name__ == "__main__":
    main()
