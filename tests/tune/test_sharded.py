"""Slices that trained with their weights spread over two processes are saved and merged as those of one."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pinpoint.models import headed
from pinpoint.tune import resume_adapter
from tests.conftest import ROOT
from tests.families import tiny
from tests.sharded import IDS, live_on, train
from tests.test_processes import TOGETHER


@pytest.mark.slow
def test_weights_gathered_from_two_processes_are_those_of_one(tmp_path: Path) -> None:
    base = tiny("llama-gqa")
    alone = live_on(headed(copy.deepcopy(base)))
    train(alone, IDS)
    command = [sys.executable, *TOGETHER, "-m", "tests.sharded", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr

    live = resume_adapter(headed(copy.deepcopy(base)), str(tmp_path)).eval()
    with torch.no_grad():
        expected, adapted, before = (model(IDS).logits for model in (alone, live, base))
        assert (adapted - before).abs().max() > 1e-2, "training must have done something"
        assert (adapted - expected).abs().max() < 1e-4 * expected.abs().max()
        merged = live.merge_and_unload(safe_merge=True)
        assert (merged(IDS).logits - adapted).abs().max() < 1e-5 * adapted.abs().max()
