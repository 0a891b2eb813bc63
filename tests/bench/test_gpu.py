"""The benchmark of a GPU, on what is here: its code runs, its scores agree, and the page has its table or says so."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = str(ROOT / "bench" / "gpu.py")


def page(results: Path, docs: Path) -> str:
    code = f"import sys; from pathlib import Path; sys.path.insert(0, {str(ROOT / 'bench')!r}); import page; "
    code += f"page.write(Path({str(results)!r}), Path({str(docs)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    return (docs / "benchmarks.md").read_text()


@pytest.mark.slow
def test_a_small_model_on_a_cpu_goes_through_every_cell(tmp_path: Path) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    shutil.copytree(ROOT / "bench" / "results", results)
    docs.mkdir()
    (results / "gpu.json").unlink(missing_ok=True)
    assert "## On one GPU\n\nNot measured." in page(results, docs)
    command = [sys.executable, SCRIPT, "--device", "cpu", "--models", "tiny", "--out", str(results / "gpu.json")]
    subprocess.run(command, check=True)
    cells = json.loads((results / "gpu.json").read_text())["models"]["tiny"]
    assert cells["locate"]["heads"] == 16 and cells["locate"]["difference"] < 1e-4
    assert all(cells[method]["fits"] for method in ("pinpoint_top", "pinpoint_all", "lora", "full"))
    assert "| tiny | 16 |" in page(results, docs)
    # A model that does not fit the card in float32.
    record = json.loads((results / "gpu.json").read_text())
    record["models"]["tiny"]["locate"]["difference"] = None
    (results / "gpu.json").write_text(json.dumps(record))
    assert "| not compared |" in page(results, docs)


@pytest.mark.slow
def test_without_a_card_one_line_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a card")
    told = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert told.returncode == 2 and "no CUDA device is here; --device cpu --models tiny" in told.stderr
