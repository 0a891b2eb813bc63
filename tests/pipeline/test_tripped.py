"""Checks that a run itself trips, on models and pairs that are really at fault."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pinpoint.config import of_run
from pinpoint.errors import CheckFailed
from pinpoint.pipeline import Run

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


def test_more_heads_than_a_few_pairs_tell_apart_are_told_of(finished_run: Path, tmp_path: Path) -> None:
    run = gone_on(finished_run, tmp_path / "run", tune={"heads": 16})
    run.do("tune")
    check = found(run, STABLE)
    assert not check["ok"] and check["detail"].startswith("of the first 16, ")


def test_weights_so_large_that_rounding_decides_are_not_merged_unnoticed(finished_run: Path, tmp_path: Path) -> None:
    run = gone_on(finished_run, tmp_path / "run", tune={"learning_rate": 100.0})
    assert found(run, MERGED)["ok"]
    with pytest.raises(CheckFailed, match=rf"'{MERGED}' failed: .*\(limit 1e-04\)\. Tune again in another --dtype"):
        run.do("tune")
    assert not found(run, MERGED)["ok"] and not run.is_done("tune")
