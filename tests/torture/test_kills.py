"""Killing a run over and over: what comes out in the end is what an undisturbed run gives.

`make torture` kills TORTURE_KILLS times (60); the suite, a few times.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

SETTINGS = """\
locate: {pairs: 24, batch_size: 4}
verify: {max_heads: 3, draws: 1, generate_at: [0, 2], generate_items: 8}
tune: {heads: 2, epochs: 0.6, check_every: 2, check_items: 8, batch_size: 16}
full: {epochs: 0.4, check_every: 2, check_items: 8, batch_size: 16, learning_rate: 1.0e-5}
evaluate: {items: 24, ability_items: 4, neutral_items: 8, batch_size: 8, resamples: 100}
"""
KILLS = int(os.environ.get("TORTURE_KILLS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def start(folder: Path) -> subprocess.Popen[str]:
    settings = folder.parent / "settings.yaml"
    settings.write_text(SETTINGS)
    command = [sys.executable, "-c", "from pinpoint.cli import main; main()", "run", "yesman"]
    command += ["--config", str(settings), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def untimed(value: Any) -> Any:
    """Without what differs between two undisturbed runs: how long things took, and when."""
    if isinstance(value, dict):
        return {key: untimed(one) for key, one in value.items() if key not in ("seconds", "provenance")}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def results(folder: Path) -> dict[str, Any]:
    names = ("summary.json", "locate/locate.json", "verify/verify.json", "tune.json", "full/tune.json")
    found = {name: untimed(json.loads((folder / name).read_text())) for name in names}
    found["transcripts"] = {
        str(path.relative_to(folder)): path.read_text() for path in sorted((folder / "evaluate").rglob("*.jsonl"))
    }
    return found


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_run_that_is_killed_again_and_again_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    began = time.monotonic()
    undisturbed = start(whole)
    _, told = undisturbed.communicate()
    assert undisturbed.returncode == 0, told
    took = time.monotonic() - began
    expected = results(whole)
    rng = random.Random(0)
    kills = rounds = 0
    stages: dict[str, int] = {}
    while kills < KILLS:
        rounds += 1
        folder = tmp_path / f"killed-{rounds}"
        kept: set[str] = set()
        while True:
            process = start(folder)
            try:
                # Most of a short run is imports: kills fall between there and the end.
                told = process.communicate(timeout=rng.uniform(0.2, 0.9) * took if kills < KILLS else None)[1]
            except subprocess.TimeoutExpired:
                process.send_signal(rng.choice(SIGNALS))
                told = process.communicate()[1]
                kills += process.returncode != 0
            now = {line.split()[1].rstrip(":") for line in told.splitlines() if "done before, kept" in line}
            assert kept <= now or process.returncode, "a finished stage was redone"
            kept |= now
            begun = [line for line in told.splitlines() if line.startswith("[")]
            stages[begun[-1].split()[1] if begun else "start"] = (
                stages.get(begun[-1].split()[1] if begun else "start", 0) + 1
            )
            if process.returncode == 0:
                break
            assert "Traceback" not in told, told
        assert results(folder) == expected
        for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors", "full/merged/model.safetensors"):
            ours, theirs = load_file(str(folder / name)), load_file(str(whole / name))
            assert all(bool((ours[key] == theirs[key]).all()) for key in theirs), name
        assert not (folder / "partial").exists() or not list((folder / "partial").iterdir())
        assert not list(folder.glob(".*.partial"))
    record = {"kills": kills, "runs": rounds, "stages": stages, "undisturbed_seconds": took}
    if "TORTURE_KILLS" in os.environ:
        Path("bench/results/kills.json").write_text(json.dumps(record, indent=1) + "\n")
