"""The benchmark of a GPU, on what is here: its code runs, its scores agree, and the page has its table or says so."""

import io
import json
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import gpu
from bench.gpu import PASSES, STEPPED, held
from tests.conftest import ROOT

SCRIPT = str(ROOT / "bench" / "gpu.py")


def page(results: Path, docs: Path) -> str:
    code = f"import sys; from pathlib import Path; sys.path.insert(0, {str(ROOT / 'bench')!r}); import page; "
    code += f"page.write(Path({str(results)!r}), Path({str(docs)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
    return (docs / "benchmarks.md").read_text()


def here(name: str, what: str, device: str) -> dict[str, Any]:
    """One cell as its own process prints it, without the seconds which that takes to start."""
    told = io.StringIO()
    with redirect_stdout(told):
        gpu.child(name, what, device, torch.float32)
    return dict(json.loads(told.getvalue()))


@pytest.mark.slow
def test_a_small_model_on_a_cpu_goes_through_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    shutil.copytree(ROOT / "bench" / "results", results)
    docs.mkdir()
    (results / "gpu.json").unlink(missing_ok=True)
    assert "## On one GPU\n\nNot measured." in page(results, docs)
    cells = {"locate": gpu.apart}
    monkeypatch.setattr(gpu, "apart", lambda name, what, device: cells.get(what, here)(name, what, device))
    monkeypatch.setattr(sys, "argv", [SCRIPT, *f"--device cpu --models tiny --out {results / 'gpu.json'}".split()])
    gpu.main()
    cells = json.loads((results / "gpu.json").read_text())["models"]["tiny"]
    assert cells["locate"]["heads"] == 16 and cells["locate"]["difference"] < 1e-4
    assert all(cells[method]["fits"] for method in STEPPED)
    speed = {method: cells[method]["tokens_a_second"] for method in STEPPED}
    for method, passes in PASSES.items():
        assert cells[method]["of_bound"] == pytest.approx(passes * speed[method] / speed["inference"])
    told = page(results, docs)
    assert f"| tiny | 16 | {cells['locate']['seconds']:.1f} | – |" in told
    assert (
        f"| tiny | heads of all layers | {speed['pinpoint_all']:.0f} | {cells['pinpoint_all']['of_bound']:.2f} | – |"
        in told
    )
    # A model that does not fit the card in float32, and one that is too slow; a card whose memory is counted.
    record = json.loads((results / "gpu.json").read_text())
    tiny = record["models"]["tiny"]
    tiny["locate"] |= {"difference": None, "aim": 5.0, "seconds": 6.0}
    tiny["full"] = {"fits": False, "what": STEPPED["full"]}
    tiny["pinpoint_top"] |= {"peak_bytes": 3 * 2**29, "memory_over_kept": 1.2}
    record["models"]["untrained"] = {"locate": tiny["locate"]}
    (results / "gpu.json").write_text(json.dumps(record))
    told = page(results, docs)
    assert "| not compared |" in told and "| 6.0 | 5: missed |" in told
    assert "| all parameters | does not fit | – | – |" in told and "| 1.5 (1.20) |" in told
    assert told.count("| untrained | ") == 1


def test_what_a_step_is_held_to_is_left_out_where_it_was_not_measured() -> None:
    fits = {"fits": True, "tokens_a_second": 100.0, "peak_bytes": 30}
    cells = {"inference": fits, "kept_top": fits | {"peak_bytes": 20}, "pinpoint_top": fits | {"tokens_a_second": 50.0}}
    what = STEPPED["pinpoint_top"]
    bound = {"bound": pytest.approx(100 / 1.5), "of_bound": pytest.approx(0.75)}
    assert held("pinpoint_top", cells) == {"what": what, **bound, "memory_over_kept": 1.5}
    assert held("pinpoint_top", cells | {"kept_top": {"fits": False}}) == {"what": what, **bound}
    assert held("pinpoint_top", cells | {"inference": {"fits": False}}) == {"what": what, "memory_over_kept": 1.5}
    assert held("pinpoint_top", cells | {"pinpoint_top": {"fits": False}}) == {"what": what}
    assert held("inference", cells) == {"what": STEPPED["inference"]}


@pytest.mark.slow
def test_without_a_card_one_line_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    told = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert told.returncode == 2 and "no CUDA device is here; --device cpu --models tiny" in told.stderr
