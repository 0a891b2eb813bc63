"""A check that a run itself trips, on a model that is really at fault."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pinpoint.config import of_run
from pinpoint.errors import CheckFailed
from pinpoint.pipeline import Run

REACHES = "knocking heads out reaches the model"


def found(run: Run, name: str) -> dict[str, Any]:
    [check] = [check for check in run.workspace.read_json("checks.json") if check["name"] == name]
    return dict(check)


def test_heads_without_effect_on_what_comes_after_stop_a_run_before_their_knockouts_are_read(
    finished_run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    run = Run(of_run(folder), folder)
    assert found(run, REACHES)["ok"]
    with torch.no_grad():
        for layer in run.model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    with pytest.raises(CheckFailed, match=f"'{REACHES}' failed: 1 different log-odds over 2 numbers of heads"):
        run.do("verify")
    assert not found(run, REACHES)["ok"]
