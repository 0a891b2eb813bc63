"""Input that looks odd and is fine: it is taken. What is refused stands in tests/bad_input."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pinpoint.artifacts import Workspace
from pinpoint.organism import shipped
from pinpoint.pipeline._preconditions import demand_base
from tests.bad_input.test_cases import copied
from tests.bad_input.test_other_models import of_another_model
from tests.command import said


def test_weights_of_mixed_dtypes_are_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(tmp_path)
    weights = load_file(str(folder / "model.safetensors"))
    kept = {name: weight.half() if ".layers.3." in name else weight.float() for name, weight in weights.items()}
    save_file(kept, str(folder / "model.safetensors"), {"format": "pt"})
    found = {}
    for name, model in (("mixed", str(folder)), ("whole", "yesman")):
        arguments = ["locate", model, "--pairs", "4", "--dtype", "float32", "--out", str(tmp_path / name), "--json"]
        code, out, err = said([*arguments, "-q"], monkeypatch, capsys)
        assert code == 0, err
        found[name] = torch.tensor(json.loads(out)["mean"])
    assert torch.allclose(found["mixed"], found["whole"], atol=5e-2), "but for the rounding of one layer's weights"


def test_two_pairs_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, told, err = said(["locate", "yesman", "--pairs", "2", "--out", str(out), "--json"], monkeypatch, capsys)
    assert code == 0, err
    assert json.loads(told)["standard_error"][0][0] is None, "one pair has no spread"


def test_the_same_model_elsewhere_is_no_other_model(finished_run: Path, tmp_path: Path) -> None:
    folder = of_another_model(finished_run, tmp_path)
    demand_base(Workspace(folder), str(shutil.copytree(shipped()["yesman"], tmp_path / "elsewhere")))
    demand_base(Workspace(folder), "acme/yesman")
