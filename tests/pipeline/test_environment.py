"""What worked in a run folder is written down as it begins."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pinpoint.artifacts import Workspace
from pinpoint.config import of_run, resolve
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, _environment, _run, locked
from pinpoint.pipeline._environment import ENVIRONMENT, machine, note_environment, versions
from tests.conftest import SMALLEST


def kept(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / ENVIRONMENT).read_text())
    return found


def test_it_is_there_before_the_first_stage_has_done_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(resolve(str(shipped()["yesman"]), None, SMALLEST), tmp_path)

    def stopped(_run: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(_run.STAGES, "locate", stopped)
    with pytest.raises(KeyboardInterrupt):
        run.all()
    [entry] = kept(tmp_path)
    assert (entry["versions"], entry["machine"]) == (versions(), machine("cpu"))
    assert entry["machine"]["device"] == "cpu" and {"torch", "python", "pinpoint"} <= entry["versions"].keys()
    assert entry["since"].endswith("+00:00")


def test_other_versions_and_another_machine_are_added_and_the_same_are_not(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "run")
    run = Run(of_run(folder), folder)
    [first] = kept(folder)
    assert first["versions"] == Workspace(folder).read_json("reproduce.json")["versions"]
    note_environment(run)
    assert kept(folder) == [first]
    monkeypatch.setattr(_environment, "version", lambda name: "99.0")
    note_environment(run)
    assert kept(folder)[0] == first and kept(folder)[1]["versions"]["torch"] == "99.0" and len(kept(folder)) == 2
    monkeypatch.setattr("os.cpu_count", lambda: 1234)
    note_environment(run)
    assert [one["machine"]["cpus"] == 1234 for one in kept(folder)] == [False, False, True]
    shown = run.report().read_text()
    assert all(one["since"] in shown for one in kept(folder)) and "torch 99.0" in shown and "cpus 1234" in shown


def test_alone_it_keeps_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "new"
    run = Run(resolve(str(shipped()["yesman"]), None, SMALLEST), folder)
    with pytest.raises(KeyboardInterrupt), locked(folder):
        note_environment(run)
        assert (folder / ENVIRONMENT).is_file()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), locked(folder):
        note_environment(run)
        run.workspace.write_json("other.json", [])
        raise KeyboardInterrupt
    assert len(kept(folder)) == 1


def test_a_run_computes_where_it_is_told_to_and_its_settings_stay(tmp_path: Path) -> None:
    settings = resolve(str(shipped()["yesman"]), None, SMALLEST | {"device": "cuda"})
    run = Run(settings, tmp_path, device="cpu")
    assert run.model.device.type == "cpu" and run.config.device == "cuda"
    note_environment(run)
    assert kept(tmp_path)[0]["machine"]["device"] == "cpu"
    with pytest.raises(InputError, match="device 'abacus' cannot be used"):
        note_environment(Run(settings, tmp_path, device="abacus"))
