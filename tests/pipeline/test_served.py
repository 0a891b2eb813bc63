"""Whole runs of a base that is quantised, and of one that is fetched from disk."""

from pathlib import Path
from typing import Any

import pytest

from pinpoint.config import Bits, resolve
from pinpoint.errors import ArtifactError, ConfigError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, export_run, lineup_of_run
from pinpoint.pipeline._served import served
from pinpoint.progress import Silent
from tests.conftest import SMALLEST

YESMAN = str(shipped()["yesman"])


def run_of(folder: Path, **more: Any) -> Run:
    return Run(resolve(YESMAN, None, SMALLEST | more), folder)


def names(run: Run) -> set[str]:
    return {check["name"] for check in run.workspace.read_json("checks.json")}


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_goes_through_every_stage_and_the_merged_model_is_exported(bits: Bits, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    more = {"bits": bits, "tune": SMALLEST["tune"] | {"learning_rate": 1e-2}}
    run = run_of(tmp_path / "run", **more)
    run.all()
    record = run.workspace.read_json("tune.json")
    assert record["quantised"]["merged"] and 0 < record["quantised"]["drift"] < 0.1
    assert "the merged model says what was tuned over the quantised base" in names(run)
    assert run.tuned_models() == {"pinpoint": run.workspace.path("adapter")}
    assert run.workspace.read_json("summary.json")["methods"]["pinpoint"]["kl"]["value"] > 1e-5
    lineup = lineup_of_run(run.config, run.workspace.root, Silent(), max_new_tokens=8)
    assert set(lineup.partners) == {"base", "tuned"}
    manifest = export_run(run, tmp_path / "out")
    assert manifest["agreement"]["relative"] < 1e-4
    assert run_of(tmp_path / "run", **more).is_done("evaluate")
    assert not run_of(tmp_path / "run", **(more | {"bits": None})).is_done("locate")


@pytest.mark.slow
def test_a_base_on_disk_goes_through_every_stage_as_one_in_memory(finished_run: Path, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", device_map="disk")
    run.all()
    said = {path.relative_to(finished_run): path.read_text() for path in finished_run.glob("evaluate/*/*.jsonl")}
    assert {path.parent.name for path in said} >= {"base", "pinpoint"}
    assert {path: (tmp_path / "run" / path).read_text() for path in said} == said
    ours, theirs = (one.workspace.read_json("tune.json") for one in (run, Run(run.config, finished_run)))
    assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)
    assert export_run(run, tmp_path / "out")["agreement"]["relative"] < 1e-4


def test_full_fine_tuning_of_a_quantised_base_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    run = run_of(tmp_path / "run", bits=8, full={"learning_rate": 3e-5})
    with pytest.raises(ConfigError, match=r"bits: full fine-tuning changes every weight, which quantised.*full: null"):
        run.all()
    assert not (tmp_path / "run").exists()


def test_bits_are_4_or_8(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bits"):
        run_of(tmp_path / "run", bits=5)


def test_what_stands_for_the_tuned_model(finished_run: Path, tmp_path: Path) -> None:
    run = Run(run_of(tmp_path).config, finished_run)
    assert served(run.workspace) == finished_run / "merged"
    other = run_of(tmp_path / "other")
    assert served(other.workspace).name == "merged"
    other.workspace.write_json("tune.json", {"quantised": {"merged": False, "drift": None}})
    assert served(other.workspace).name == "adapter"
    with pytest.raises(ArtifactError, match="is missing, was made with other settings"):
        export_run(other, tmp_path / "out")
