"""Checks that a run itself trips, on models and pairs that are really at fault."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pinpoint.config import of_run
from pinpoint.errors import CheckFailed
from pinpoint.pipeline import Run, _checks
from pinpoint.pipeline._tuning import MERGE_LIMIT

STABLE = "the first heads stay first when the pairs are drawn again"
MERGED = "the merged model equals its adapter"
REACHES = "knocking heads out reaches the model"


def gone_on(finished_run: Path, folder: Path, **changes: Any) -> Run:
    """A copy of a finished run, with other settings from some stage on."""
    shutil.copytree(finished_run, folder)
    settings = of_run(folder)
    sections = {name: getattr(settings, name).model_copy(update=section) for name, section in changes.items()}
    return Run(settings.model_copy(update=sections), folder)


def found(run: Run, name: str) -> dict[str, Any]:
    [check] = [check for check in run.workspace.read_json("checks.json") if check["name"] == name]
    return dict(check)


def finished_fidelity(run: Path) -> float:
    return float(json.loads((run / "tune.json").read_text())["fidelity"])


def test_heads_without_effect_on_what_comes_after_stop_a_run_before_their_knockouts_are_read(
    finished_run: Path, tmp_path: Path
) -> None:
    run = gone_on(finished_run, tmp_path / "run")
    assert found(run, REACHES)["ok"]
    with torch.no_grad():
        for layer in run.model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    with pytest.raises(CheckFailed, match=f"'{REACHES}' failed: 1 different log-odds over 2 numbers of heads"):
        run.do("verify")
    assert not found(run, REACHES)["ok"]


def test_heads_that_do_not_all_stay_first_are_told_of(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checks, "_STABLE", 0.999)
    run = gone_on(finished_run, tmp_path / "run", tune={"heads": 16})
    run.do("tune")
    check = found(run, STABLE)
    assert not check["ok"] and check["detail"].startswith("of the first 16, 9")
    assert run.is_done("tune"), "it warns"


def test_a_merged_model_further_from_its_adapter_than_the_limit_is_not_kept(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of what rounding alone leaves between the two, which is measured.
    monkeypatch.setitem(MERGE_LIMIT, torch.float32, finished_fidelity(finished_run) / 2)
    run = gone_on(finished_run, tmp_path / "run", tune={"learning_rate": 2e-3})
    assert found(run, MERGED)["ok"]
    with pytest.raises(CheckFailed, match=rf"'{MERGED}' failed: .*\. Tune again in another --dtype"):
        run.do("tune")
    assert not found(run, MERGED)["ok"] and not run.is_done("tune")
