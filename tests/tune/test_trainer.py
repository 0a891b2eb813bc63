"""What a trainer is told of devices and processes."""

from pathlib import Path

import pytest
import torch
from trl import SFTConfig

from pinpoint.behaviours import PreferenceRow
from pinpoint.config import TuneConfig
from pinpoint.errors import ConfigError
from pinpoint.processes import Processes
from pinpoint.progress import Silent
from pinpoint.tune import fit
from pinpoint.tune._trainer import _on
from tests.families import tiny


def test_one_process_trains_on_the_card_of_its_model_and_on_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    settings = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=8)
    settings._n_gpu = 2  # as on a machine with two cards
    assert settings.train_batch_size == 16
    on = _on(torch.device("cuda:1"), settings)
    assert (on.train_batch_size, on.n_gpu, on.device, chosen) == (8, 1, torch.device("cuda:1"), [on.device])


def test_several_processes_refuse_preference_rows(tmp_path: Path) -> None:
    row = PreferenceRow(prompt=[], chosen=[], rejected=[])
    told = {"seed": 0, "out": tmp_path, "progress": Silent(), "what": "x", "processes": Processes(0, 2)}
    with pytest.raises(
        ConfigError, match=r"^preference rows are trained on by one process\. Start it without torchrun"
    ):
        fit(tiny("llama-gqa"), None, [row], TuneConfig(), lambda _: {}, **told)  # type: ignore[arg-type]
