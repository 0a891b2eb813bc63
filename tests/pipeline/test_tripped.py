"""Checks that a run itself trips, on models and pairs that are really at fault."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pinpoint.config import of_run, resolve
from pinpoint.errors import CheckFailed
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, _checks, located_scores
from pinpoint.pipeline._locating import check_stability
from pinpoint.pipeline._tuning import MERGE_LIMIT
from pinpoint.progress import Silent

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


def said_of_stability(run: Run) -> list[str]:
    """Has a run keep what it is told of the ranking."""
    said: list[str] = []

    class Heard(Silent):
        def say(self, text: str) -> None:
            if STABLE in text:
                said.append(text)

    run.progress = Heard()
    return said


@pytest.mark.parametrize("heads", [16, "auto"])
def test_locating_on_too_few_pairs_is_told_with_how_many_would_do_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heads: int | str
) -> None:
    monkeypatch.setattr(_checks, "_STABLE", 0.999)
    changes = {"locate": {"pairs": 8, "noise_pairs": 0, "contrasts": []}, "tune": {"heads": heads}}
    run = Run(resolve(str(shipped()["yesman"]), None, changes), tmp_path)
    said = said_of_stability(run)
    run.do("locate")
    [told] = said
    check = found(run, STABLE)
    assert check["stage"] == "locate" and not check["ok"] and run.is_done("locate"), "it warns"
    assert check["detail"].startswith(f"of the first {16 if heads == 16 else 3}, ")
    assert int(re.search(r"Locate on (?:about )?([\d,]+) pairs", told)[1]) >= 16  # type: ignore[index]
    check_stability(run, located_scores(run), 6)
    assert len(said) == 1 and found(run, STABLE)["detail"].startswith("of the first 6, ")


def test_a_ranking_that_is_stable_and_heads_that_are_named_are_not_warned_of(tmp_path: Path) -> None:
    few: dict[str, Any] = {"locate": {"pairs": 40, "noise_pairs": 0, "contrasts": []}, "tune": {"heads": 2}}
    run = Run(resolve(str(shipped()["yesman"]), None, few), tmp_path / "stable")
    said = said_of_stability(run)
    run.do("locate")
    assert said == [] and found(run, STABLE)["ok"]
    named = Run(resolve(str(shipped()["yesman"]), None, few | {"tune": {"heads": ["L0.H5"]}}), tmp_path / "named")
    named.do("locate")
    assert STABLE not in [check["name"] for check in named.workspace.read_json("checks.json")]


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
