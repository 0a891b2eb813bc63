"""Hundreds of sweeps and evaluations in one process: memory stays, hooks go, weights are what they were.

`make torture` runs SOAK_SWEEPS=200 sweeps, SOAK_ROUNDS=50 evaluations and as many rounds of sweeps and trainings that
are thrown out of; the suite a few.
"""

import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from bench._record import Conditions
from pinpoint.artifacts import Workspace
from pinpoint.config import resolve
from pinpoint.evaluate import evaluate
from pinpoint.heads import Head
from pinpoint.interventions import knockout
from pinpoint.locate import locate
from pinpoint.measure import METRICS
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.progress import Silent
from pinpoint.tune import fit_heads
from tests.conftest import ROOT

SWEEPS = int(os.environ.get("SOAK_SWEEPS", "12"))
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "4"))
GROWTH = 0.02

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its memory from /proc")


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def hooks(model: nn.Module) -> dict[str, int]:
    """Every kind of hook on every module, and the kind of every module: a stand-in left behind shows."""
    found = {}
    for name, module in model.named_modules():
        for kind, value in vars(module).items():
            if "hook" in kind and isinstance(value, dict):
                found[f"{name}.{kind}"] = len(value)
        found[f"{name}: {type(module).__name__}"] = 1
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    small = {
        "device": "cpu",
        "locate": {"pairs": 4},
        "evaluate": {"items": 4, "ability_items": 1, "neutral_items": 2, "max_new_tokens": 8, "resamples": 100},
    }
    return Run(resolve(str(shipped()["yesman"]), None, small), tmp_path_factory.mktemp("soak") / "run")


def weights_of(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model: PreTrainedModel, weights: dict[str, Tensor], hooked: dict[str, int]) -> None:
    assert hooks(model) == hooked
    now = model.state_dict()
    assert now.keys() == weights.keys() and all(torch.equal(now[name], weights[name]) for name in weights)


class Soak(NamedTuple):
    """Work that was done over and over.

    Attributes:
        held: bytes of memory after each time.
        seconds: all of it took.
        conditions: where it was done.
    """

    held: list[int]
    seconds: float
    conditions: str

    @property
    def half(self) -> int:
        return len(self.held) // 2

    @property
    def grown(self) -> float:
        """Growth of memory over the second half, relative to where it began."""
        return self.held[-1] / self.held[self.half] - 1


def soaked(work: Callable[[], object], times: int) -> Soak:
    conditions, began, held = Conditions(), time.perf_counter(), []
    for _ in range(times):
        work()
        held.append(resident())
    return Soak(held, time.perf_counter() - began, conditions.told())


def noted(name: str, soak: Soak) -> None:
    if "SOAK_SWEEPS" not in os.environ:
        return
    path = ROOT / "bench/results/soak.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {
        "times": len(soak.held),
        "seconds": round(soak.seconds, 1),
        "growth_after_half": soak.grown,
        "megabytes": [soak.held[at] / 1e6 for at in (0, soak.half, -1)],
        "conditions": soak.conditions,
    }
    path.write_text(json.dumps(known, indent=1) + "\n")


@linux
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_sweep_after_sweep(run: Run) -> None:
    model, pairs = run.model, run.inputs.halves.pairs
    weights, hooked = weights_of(model), hooks(model)
    soak = soaked(lambda: locate(model, run.tokenizer, pairs), SWEEPS)
    noted("locate", soak)
    unchanged(model, weights, hooked)
    assert soak.grown < GROWTH, soak.held


def play(run: Run) -> None:
    """An evaluation of the base."""
    evaluate(
        run.model, run.tokenizer, run.inputs.sets(), run.config.evaluate, run.inputs.behaviour,
        base=run.model, base_played=None, progress=Silent(), name="x",
    )  # fmt: skip


def evaluations(run: Run, times: int) -> Soak:
    model = run.model
    weights, hooked = weights_of(model), hooks(model)
    soak = soaked(lambda: play(run), times)
    unchanged(model, weights, hooked)
    return soak


@linux
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_evaluation_after_evaluation(run: Run) -> None:
    soak = evaluations(run, ROUNDS)
    noted("evaluate", soak)
    assert soak.grown < GROWTH, soak.held


@linux
def test_six_sweeps(run: Run) -> None:
    model, pairs = run.model, run.inputs.halves.pairs
    weights, hooked = weights_of(model), hooks(model)
    soak = soaked(lambda: locate(model, run.tokenizer, pairs), 6)
    unchanged(model, weights, hooked)
    assert soak.grown < GROWTH, soak.held


@linux
def test_three_evaluations(run: Run) -> None:
    play(run)
    soak = evaluations(run, 3)
    assert soak.grown < GROWTH, soak.held


class Thrown(Exception):
    """Comes from code that is not ours."""


def thrown(work: Callable[[], object]) -> None:
    """Does what throws; nothing is kept of it, as `pytest.raises` keeps what was thrown."""
    try:
        work()
    except Thrown:
        return
    raise AssertionError("nothing was thrown")


class Throwing(Silent):
    """A progress that raises at its call number `at`."""

    def __init__(self, at: int) -> None:
        self.left = at

    def advance(self, steps: int = 1) -> None:
        self.left -= 1
        if self.left < 0:
            raise Thrown


def throwing_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the metric raise at its first call, then at its second, and so on."""
    real = METRICS["logit_diff"]
    at = 0
    while True:
        calls = iter(range(at + 1))

        def value(*arguments: object, calls: Iterator[int] = calls, **more: object) -> object:
            if next(calls, None) is None:
                raise Thrown
            return real.value(*arguments, **more)

        monkeypatch.setitem(METRICS, "logit_diff", replace(real, value=value))
        yield
        at += 1


def test_what_is_thrown_inside_a_sweep_leaves_nothing_behind(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, pairs = run.model, run.inputs.halves.pairs
    before = locate(model, run.tokenizer, pairs, batch_size=2).effects
    weights, hooked = weights_of(model), hooks(model)
    model.train()
    with monkeypatch.context() as patched:
        for _ in islice(throwing_metrics(patched), 3):
            with pytest.raises(Thrown):
                locate(model, run.tokenizer, pairs, batch_size=2)
            unchanged(model, weights, hooked)
    for at in range(2):
        with pytest.raises(Thrown):
            locate(model, run.tokenizer, pairs, batch_size=2, progress=Throwing(at), workspace=Workspace(tmp_path))
        unchanged(model, weights, hooked)
    assert model.training, "the mode that the model was in"
    model.eval()
    assert torch.equal(locate(model, run.tokenizer, pairs, batch_size=2).effects, before)


def test_what_is_thrown_inside_an_evaluation_or_a_knockout_leaves_nothing_behind(run: Run) -> None:
    model = run.model
    weights, hooked = weights_of(model), hooks(model)
    values = torch.zeros(run.view.n_layers, run.view.n_heads, run.view.head_dim)
    with pytest.raises(Thrown), knockout(run.view, [Head(0, 1), Head(3, 0)], values):
        assert hooks(model) != hooked
        raise Thrown
    unchanged(model, weights, hooked)
    for at in range(3):
        with pytest.raises(Thrown):
            evaluate(
                model, run.tokenizer, run.inputs.sets(), run.config.evaluate, run.inputs.behaviour,
                base=model, base_played=None, progress=Throwing(at), name="x",
            )  # fmt: skip
        unchanged(model, weights, hooked)


def train(run: Run, out: Path, at: int) -> None:
    """Trains two head slices; the check that a callback of the trainer makes throws at its call number `at`."""
    calls = iter(range(at))

    def check(_: PreTrainedModel) -> dict[str, float]:
        if next(calls, None) is None:
            raise Thrown
        return {"truthfulness": 0.0, "confidence": 0.0, "kl": 0.0}

    rows = run.inputs.behaviour.rows(run.inputs.questions("train")[:8], 0, {})
    few = run.config.tune.model_copy(update={"epochs": 1, "check_every": 1, "batch_size": 2})
    with fit_heads(run.model, run.tokenizer, [Head(0, 1), Head(3, 0)], rows, few, check, seed=0, out=out):
        pass


def test_what_is_thrown_in_a_callback_of_training_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    model = run.model
    weights, hooked = weights_of(model), hooks(model)
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    for at in range(2):
        thrown(lambda at=at: train(run, tmp_path, at))  # type: ignore[misc]
        unchanged(model, weights, hooked)
        assert [parameter.requires_grad for parameter in model.parameters()] == wanted
        assert not any(parameter.grad is not None for parameter in model.parameters())


@linux
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_what_progress_metrics_and_callbacks_throw_over_and_over_costs_no_memory(run: Run, tmp_path: Path) -> None:
    model, pairs = run.model, run.inputs.halves.pairs
    weights, hooked = weights_of(model), hooks(model)

    def sweep(progress: Silent) -> None:
        locate(model, run.tokenizer, pairs, batch_size=2, progress=progress)

    def work() -> None:
        for at in range(2):
            thrown(lambda at=at: sweep(Throwing(at)))  # type: ignore[misc]
        with pytest.MonkeyPatch.context() as patched:
            for _ in islice(throwing_metrics(patched), 2):
                thrown(lambda: sweep(Silent()))
        thrown(lambda: train(run, tmp_path, 1))

    soak = soaked(work, ROUNDS)
    noted("thrown", soak)
    unchanged(model, weights, hooked)
    assert soak.grown < GROWTH, soak.held
