"""Checks between the stages, halves of the pairs, and the whole pipeline on the shipped organism."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pinpoint.config import resolve
from pinpoint.data import ContrastPair
from pinpoint.errors import CheckFailed, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.pipeline._checks import demand, merge_faithful
from pinpoint.pipeline._halves import halves


def test_halves_share_no_group_and_use_every_pair() -> None:
    pairs = [ContrastPair([1], [2], 3, 4, group=str(i // 2)) for i in range(20)]
    chosen, ranking, effects = halves(pairs, 20, seed=0)
    assert sorted(ranking + effects) == list(range(20))
    assert not {chosen[i].group for i in ranking} & {chosen[i].group for i in effects}
    assert len(halves(pairs, 7, seed=0).pairs) == 7
    with pytest.raises(InputError, match="share one group"):
        halves(pairs[:2], 2, seed=0)


def test_a_merge_that_differs_from_its_adapter_stops_the_run() -> None:
    with pytest.raises(CheckFailed, match="the merged model equals its adapter"):
        demand(merge_faithful(0.2, 1e-4))


def test_a_model_that_does_not_cave_stops_the_run(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(shipped()["truth-teller"], model)
    for name in ("pinpoint.yaml", "questions.jsonl", "neutral.jsonl", "abilities.jsonl", "full_lr.json"):
        shutil.copy(shipped()["yesman"] / name, model)
    run = Run(resolve(str(model), None, {"locate": {"pairs": 20}}), tmp_path / "run")
    said = r"the model shows the behaviour.*on \d+ % \[0, \d+\] of 20 reference prompts"
    with pytest.raises(CheckFailed, match=said):
        run.do("locate")
    assert not (tmp_path / "run" / "locate").exists()
    assert json.loads((tmp_path / "run" / "checks.json").read_text())[0]["ok"] is False


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_leaves_what_it_promises(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from pinpoint.cli import main; main()",
        "demo",
        "--out",
        str(tmp_path),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["methods"]) == {"base", "pinpoint", "full"}
    base, pinpoint = summary["methods"]["base"], summary["methods"]["pinpoint"]
    assert base["truthfulness"]["value"] < 0.2
    assert pinpoint["truthfulness"]["value"] > base["truthfulness"]["high"]
    assert pinpoint["confidence"]["value"] > base["confidence"]["high"]
    assert 0 < pinpoint["trainable_parameters"] < 0.2 * summary["total_parameters"]
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert all(check["ok"] for check in summary["checks"])

    before = load_file(str(shipped()["yesman"] / "model.safetensors"))
    after = load_file(str(tmp_path / "merged" / "model.safetensors"))
    touched = {name for name, value in after.items() if not torch.equal(value, before[name].to(value.dtype))}
    layers = {int(head[1:].split(".")[0]) for head in summary["heads"]}
    allowed = {f"model.layers.{layer}.self_attn.{which}_proj.weight" for layer in layers for which in "qo"}
    assert touched and touched <= allowed
