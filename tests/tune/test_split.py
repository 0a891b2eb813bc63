"""Tuning of a model that FSDP2 splits over two processes ends, saved and merged, where one process ends."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from pinpoint.errors import ConfigError
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.processes import Processes
from pinpoint.tune import attach_head_lora, head_slices
from pinpoint.tune._checkpoints import keep_only, last_checkpoint
from pinpoint.tune._split import check_kind, check_split, split_copy, take_back
from tests.conftest import ROOT
from tests.families import tiny
from tests.split import tuned
from tests.test_processes import SPLIT, TOGETHER

CARDS = [pytest.mark.gpu, pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")]


def launched(how: str, folder: Path, *plan: str) -> tuple[int, str]:
    command = [sys.executable, *(TOGETHER if how == "whole" else SPLIT), "-m", "tests.split", str(folder), *plan]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({} if how == "cards" else {"CUDA_VISIBLE_DEVICES": ""})
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200, check=False)
    return done.returncode, done.stderr


@pytest.mark.timeout(700)
@pytest.mark.parametrize(
    "how",
    [
        pytest.param("split", marks=pytest.mark.slow),
        *([pytest.param("whole", marks=pytest.mark.slow)] if "TORTURE_KILLS" in os.environ else []),
        pytest.param("cards", marks=CARDS),
    ],
)
def test_training_that_was_cut_short_goes_on_over_two_processes_and_ends_as_that_of_one(
    how: str, tmp_path: Path
) -> None:
    # Two of the three steps of the first epoch are done: the rows that fill its last batch up come after the cut.
    for plan in (["heads:2"], ["heads:0", "full:2"], ["full:0"]):
        code, told = launched(how, tmp_path, *plan)
        cut = not plan[-1].endswith(":0")
        assert (code != 0) is cut and ("Cut" in told) is cut, told
        saved = {path.name for path in tmp_path.glob("*/partial/trainer/checkpoint-2/*")}
        assert ("pytorch_model_fsdp_0" in saved) is (cut and how != "whole")
    for kind in ("heads", "full"):
        alone = tuned(kind, tmp_path / "alone" / kind)
        for rank in range(2):
            found = json.loads((tmp_path / f"{kind}-{rank}.json").read_text())
            assert found["losses"] == pytest.approx(alone.fitted.losses, rel=1e-3)
            assert len(found["checks"]) == 3
            for ours, theirs in zip(found["checks"], alone.fitted.history, strict=True):
                assert ours == pytest.approx(theirs.metrics, rel=1e-3)
            assert found["shares"] == pytest.approx([1.0 if how == "whole" else 0.5] * len(found["shares"]), abs=0.01)
        files = ["merged/model.safetensors", *(["adapter/adapter_model.safetensors"] if kind == "heads" else [])]
        for name in files:
            one, two = (load_file(str(folder / kind / name)) for folder in (tmp_path / "alone", tmp_path))
            assert one.keys() == two.keys()
            for weight in one:
                assert float((one[weight] - two[weight]).norm()) <= 1e-3 * float(one[weight].norm()), weight
        if kind == "heads":
            assert json.loads((tmp_path / kind / "tune.json").read_text())["fidelity"] < 1e-5


def test_a_copy_is_its_own_and_what_trains_of_it_is_taken_back() -> None:
    model = tiny("llama-gqa")
    model.lm_head.weight.requires_grad_(False)
    before, trained = copy.deepcopy(model.state_dict()), split_copy(model)
    assert [one.requires_grad for one in trained.parameters()] == [one.requires_grad for one in model.parameters()]
    assert all(torch.equal(before[name], weight) for name, weight in trained.state_dict().items())
    with torch.no_grad():
        for weight in trained.parameters():
            weight.add_(1)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    take_back(model, trained)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name] + (1 if weight.requires_grad else 0)), name


def test_lora_within_head_slices_is_not_split() -> None:
    view = headed(tiny("llama-gqa"))
    model = attach_head_lora(view, head_slices(view, [Head(1, 4)], "q,o"), rank=2)
    with pytest.raises(ConfigError, match=r"^tuning: weights whose gradients are edited .* Launch with torchrun\.$"):
        split_copy(model)


def test_accelerate_that_does_other_than_it_was_told_is_told() -> None:
    check_split(SimpleNamespace(is_fsdp_enabled=True), Processes(0, 2, split=True))
    check_split(SimpleNamespace(is_fsdp_enabled=False), Processes())
    with pytest.raises(ConfigError, match=r"^tuning: accelerate splits the model over .* Hand over, as processes"):
        check_split(SimpleNamespace(is_fsdp_enabled=True), Processes())
    with pytest.raises(ConfigError, match=r"^tuning: accelerate does not split the model over processes \(FSDP\)"):
        check_split(SimpleNamespace(is_fsdp_enabled=False), Processes(0, 2, split=True))


def test_a_checkpoint_is_whole_with_all_that_its_folders_hold_and_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    part = tmp_path / "checkpoint-2" / "pytorch_model_fsdp_0" / "__1_0.distcp"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"weights")
    keep_only(tmp_path / "checkpoint-2")
    found = last_checkpoint(tmp_path)
    assert found is not None and found.step == 2
    check_kind(found.folder, Processes(0, 2, split=True))
    with pytest.raises(ConfigError, match=r"checkpoint-2: training was begun with FSDP, and cannot go on without it"):
        check_kind(found.folder, Processes())
    part.unlink()
    assert last_checkpoint(tmp_path) is None
    for step in (9, 10):
        (tmp_path / "kept").mkdir()
        keep_only(tmp_path / "kept")
        (tmp_path / "kept").rename(tmp_path / f"checkpoint-{step}")
    newest = last_checkpoint(tmp_path)
    assert newest is not None and newest.step == 10, "the later of two that are whole, by number"
    (tmp_path / "checkpoint-4").mkdir()
    with pytest.raises(ConfigError, match=r"checkpoint-4: training was begun without FSDP, and cannot go on with it"):
        check_kind(tmp_path / "checkpoint-4", Processes(0, 2, split=True))
