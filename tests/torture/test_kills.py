"""Killing a run over and over: what comes out in the end is what an undisturbed run gives.

`make torture` kills TORTURE_KILLS times (60) inside stages, and every run once more while it starts; the suite, a few
times. The run has its model write explanations and wrong answers before it trains, which are killed too.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from bench._record import Conditions
from tests.conftest import ROOT
from tests.torture.texts import questions_without_wrong_answers

SETTINGS = """\
data: {{questions: {questions}}}
locate: {{pairs: 24, batch_size: 4}}
verify: {{max_heads: 3, draws: 1, generate_at: [0, 2], generate_items: 8}}
tune:
  {{heads: 2, epochs: 1.5, check_every: 2, check_items: 8, batch_size: 16,
    explanations: model, explanation_tokens: 16, wrong_answers: model}}
full: {{epochs: 1, check_every: 2, check_items: 8, batch_size: 16, learning_rate: 1.0e-5}}
evaluate: {{items: 24, ability_items: 4, neutral_items: 8, batch_size: 8, resamples: 100}}
"""
TRAINED = 96  # questions that are trained on
TEXTS = ("wrong_answers", "explanations")
KILLS = int(os.environ.get("TORTURE_KILLS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGKILL: (-9,), signal.SIGTERM: (-15, 143), signal.SIGINT: (130,)}


def start(folder: Path) -> subprocess.Popen[str]:
    settings = folder.parent / "settings.yaml"
    questions = questions_without_wrong_answers(folder.parent / "questions.jsonl", TRAINED)
    settings.write_text(SETTINGS.format(questions=questions))
    command = [sys.executable, "-c", "from pinpoint.cli import main; main()", "run", "yesman"]
    command += ["--config", str(settings), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def untimed(value: Any) -> Any:
    """Without what differs between two undisturbed runs: how long things took, and when."""
    if isinstance(value, dict):
        return {key: untimed(one) for key, one in value.items() if key not in ("seconds", "provenance")}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def results(folder: Path) -> dict[str, Any]:
    names = ("summary.json", "locate/locate.json", "verify/verify.json", "tune.json", "full/tune.json")
    found = {name: untimed(json.loads((folder / name).read_text())) for name in names}
    texts = [*(folder / "evaluate").rglob("*.jsonl"), *(path for name in TEXTS for path in folder.glob(f"{name}.*"))]
    found["texts"] = {str(path.relative_to(folder)): path.read_text() for path in sorted(texts)}
    return found


def writing(folder: Path) -> bool:
    """Whether texts for the training dialogues are half written."""
    return any(path for name in TEXTS for path in folder.glob(f"partial/{name}-*/*"))


class Watched:
    """A run in a process of its own, with what it says and when."""

    def __init__(self, folder: Path) -> None:
        self.began = time.monotonic()
        self.process = start(folder)
        self.lines: list[str] = []
        self.at: dict[str, float] = {"start": 0.0}
        self.kept: set[str] = set()
        self._told = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._told:
                self.lines.append(line)
                if line.startswith("["):
                    stage = line.split()[1].rstrip(":")
                    self.at[stage] = time.monotonic() - self.began
                    self.kept |= {stage} if "done before, kept" in line else set()
                self._told.notify_all()
        with self._told:
            self._told.notify_all()

    def until(self, stage: str) -> None:
        """Waits for a stage to begin, or for the end of the process."""
        with self._told:
            self._told.wait_for(lambda: stage in self.at or self.process.poll() is not None, timeout=600)

    def end(self) -> str:
        """All it has said, once it is over."""
        self.process.wait()
        self._reader.join()
        return "".join(self.lines)

    @property
    def finished(self) -> set[str]:
        """Stages that are over, since the next one began."""
        return {stage for stage, _ in pairwise(self.at)}

    def seconds(self) -> dict[str, float]:
        """How long each stage took."""
        ends = [*list(self.at.values())[1:], time.monotonic() - self.began]
        return {stage: end - began for (stage, began), end in zip(self.at.items(), ends, strict=True)}


def kill(folder: Path, stage: str, after: float, signals: tuple[signal.Signals, ...], rng: random.Random) -> Watched:
    """Starts the run, and ends it `after` seconds into a stage, if it is not over by then."""
    run = Watched(folder)
    run.until(stage)
    with suppress(subprocess.TimeoutExpired):
        run.process.wait(after)
    if run.process.poll() is None:
        sent = rng.choice(signals)
        run.process.send_signal(sent)
        run.end()
        # Once the page is there, Python itself answers Ctrl-C on its way out.
        leaving = (-2,) if "report" in run.at and sent == signal.SIGINT else ()
        assert run.process.returncode in (0, *CODES[sent], *leaving), (sent, run.process.returncode)
    return run


def hold(run: Watched, finished: set[str]) -> None:
    """What was finished is kept, and nothing but the program's own words is said."""
    told = run.end()
    assert "Traceback" not in told, told
    redone = (finished & set(run.at)) - run.kept - {"start"}
    assert not redone, f"finished stages were done again: {redone}"


def same(folder: Path, whole: Path) -> None:
    """Holds a run folder to an undisturbed one, and to nothing half done lying about."""
    assert results(folder) == results(whole)
    for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors", "full/merged/model.safetensors"):
        ours, theirs = load_file(str(folder / name)), load_file(str(whole / name))
        assert all(bool((ours[key] == theirs[key]).all()) for key in theirs), name
    assert not (folder / "partial").exists()
    assert not list(folder.glob(".*.partial"))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_run_that_is_killed_again_and_again_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    conditions, whole = Conditions(), tmp_path / "whole"
    undisturbed = Watched(whole)
    assert undisturbed.end() and undisturbed.process.returncode == 0, undisturbed.lines
    seconds = undisturbed.seconds()
    assert all(text in results(whole)["texts"] for text in ("wrong_answers.jsonl", "explanations.jsonl"))
    stages = [stage for stage in seconds if stage != "start"]
    rng = random.Random(0)
    killed: Counter[str] = Counter()
    rounds = written = 0
    while killed.total() - killed["start"] < KILLS:
        folder, finished = tmp_path / f"killed-{rounds}", set[str]()
        rounds += 1
        # The stages killed least so far, in their order: so that each has its turn.
        drawn = sorted(stages, key=lambda one: (killed[one], rng.random()))[: min(5, KILLS)]
        for stage in ["start", *sorted(drawn, key=stages.index)]:
            signals = SIGNALS[:2] if stage == "start" else SIGNALS  # Python itself answers Ctrl-C while it starts
            run = kill(folder, stage, rng.uniform(0, 0.95) * seconds[stage], signals, rng)
            hold(run, finished)
            finished |= run.finished
            if run.process.returncode:
                killed[list(run.at)[-1]] += 1
                written += writing(folder)
        last = Watched(folder)
        hold(last, finished)
        assert last.process.returncode == 0, last.lines
        same(folder, whole)
        shutil.rmtree(folder)
    if "TORTURE_KILLS" in os.environ:
        assert set(killed) == set(seconds), "a stage was never killed"
        assert written, "nothing was killed while it wrote texts"
        record = {
            "kills": killed.total(),
            "inside stages": killed.total() - killed["start"],
            "while texts were written": written,
            "runs": rounds,
            "stages": {stage: killed[stage] for stage in seconds},
            "undisturbed_seconds": seconds,
            "conditions": conditions.told(),
        }
        (ROOT / "bench/results/kills.json").write_text(json.dumps(record, indent=1) + "\n")
