"""Training that was cut short goes on from its last checkpoint and ends in the same weights."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import TrainingRow
from pinpoint.config import TuneConfig
from pinpoint.errors import ArtifactError
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.progress import Silent
from pinpoint.tune import Fitted, _fit, attach, fit, freeze_selectors, head_slices, reaches, tune_full
from pinpoint.tune._check import values_of
from pinpoint.tune._checkpoints import keep_only
from tests.families import tiny

CONFIG = TuneConfig(learning_rate=1e-3, batch_size=2, epochs=1, check_every=2)
ROWS = [
    TrainingRow(
        prompt=[{"role": "user", "content": f"Copy this list: {word} milk."}],
        completion=[{"role": "assistant", "content": f"{word} milk."}],
    )
    for word in ("horse", "apple", "bread", "milk", "fish", "snow", "door", "green", "blue", "red")
]


class Cut(Exception):
    """Stands for whatever ends a process."""


def train(
    kind: str, tokenizer: PreTrainedTokenizerBase, out: Path, cut_at: int, best_at: int = 99, **changes: float
) -> tuple[dict, Fitted]:
    base = AutoModelForCausalLM.from_pretrained(str(shipped()["truth-teller"]), dtype=torch.float32)
    model: PreTrainedModel | PeftModel = base
    if kind == "heads":
        view = headed(base)
        model = attach(view, head_slices(view, [Head(0, 1), Head(3, 2)], "q,o"))
    else:
        base.requires_grad_(True)
    checks = 0

    def check(model: PreTrainedModel) -> dict[str, float]:
        nonlocal checks
        checks += 1
        if checks == cut_at:
            raise Cut
        weights = sum(float(parameter.detach().double().sum()) for parameter in model.parameters())
        return {"truthfulness": float(checks >= best_at), "confidence": 1.0, "kl": weights}

    config = CONFIG.model_copy(update=changes)
    fitted = fit(model, tokenizer, ROWS, config, check, seed=0, out=out, progress=Silent(), what="x", resume=True)
    if kind == "heads":
        assert isinstance(model, PeftModel)
        assert all(bool(((weight == 0) | (weight == 1)).all()) for weight in freeze_selectors(model))
    return {name: value.clone() for name, value in model.state_dict().items()}, fitted


@pytest.mark.parametrize("kind", ["heads", "full"])
def test_a_second_process_ends_where_an_undisturbed_one_does(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, kind: str
) -> None:
    weights, fitted = train(kind, tokenizer, tmp_path / "whole", cut_at=0)
    with pytest.raises(Cut):
        train(kind, tokenizer, tmp_path / "cut", cut_at=2)
    again, resumed = train(kind, tokenizer, tmp_path / "cut", cut_at=0)
    assert resumed.history[0].step == 2 and [one.step for one in resumed.history] == [2, 4, 5]
    assert [one.metrics["kl"] for one in resumed.history] == [one.metrics["kl"] for one in fitted.history]
    assert resumed.losses == fitted.losses
    assert resumed.trainable == fitted.trainable
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_checks_are_no_time_spent_training_and_what_an_earlier_process_spent_is(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def passes(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(_fit, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(Silent, "advance", lambda _, steps=1: passes(1 if steps == 1 else 0))
    monkeypatch.setattr(_fit, "values_of", lambda found: passes(100) or values_of(found))
    _, whole = train("heads", tokenizer, tmp_path / "whole", cut_at=0)
    assert whole.seconds == 5 and [one.seconds for one in whole.history] == [2, 4, 5]
    with pytest.raises(Cut):
        train("heads", tokenizer, tmp_path / "cut", cut_at=2)
    _, resumed = train("heads", tokenizer, tmp_path / "cut", cut_at=0)
    assert resumed.seconds == 5 and [one.seconds for one in resumed.history] == [2, 4, 5]


def test_training_that_had_reached_its_targets_is_not_trained_further(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    weights, fitted = train("heads", tokenizer, tmp_path, cut_at=0, best_at=2)
    assert fitted.reached and fitted.history[-1].step == 4
    again, resumed = train("heads", tokenizer, tmp_path, cut_at=1)
    assert resumed.reached and resumed.history[-1].step == 4
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_training_that_is_to_make_all_its_steps_makes_them_after_its_targets_too(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    weights, fitted = train("heads", tokenizer, tmp_path / "whole", cut_at=0, best_at=1, stop_early=False)
    assert fitted.reached and [one.step for one in fitted.history] == [2, 4, 5]
    # Taken up again, it goes on though the last check was good enough.
    with pytest.raises(Cut):
        train("heads", tokenizer, tmp_path / "cut", cut_at=2, best_at=1, stop_early=False)
    again, resumed = train("heads", tokenizer, tmp_path / "cut", cut_at=0, best_at=1, stop_early=False)
    assert [one.step for one in resumed.history] == [2, 4, 5]
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize("epochs", [0.6, 1, 1.4])
def test_training_that_was_over_is_not_trained_further(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, epochs: float
) -> None:
    weights, fitted = train("heads", tokenizer, tmp_path, cut_at=0, epochs=epochs)
    assert len(fitted.losses) == 5 * epochs
    again, resumed = train("heads", tokenizer, tmp_path, cut_at=1, epochs=epochs)
    assert resumed.losses == fitted.losses and resumed.history == fitted.history
    assert all(torch.equal(weights[name], again[name]) for name in weights)


class Touches:
    """Has code run where it is read as an object."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
@pytest.mark.parametrize("zipped", [True, False], ids=["an archive", "torch's older form"])
def test_code_in_a_planted_checkpoint_is_not_run(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, name: str, zipped: bool
) -> None:
    out, ran = tmp_path / "out", tmp_path / "ran"
    with pytest.raises(Cut):
        train("heads", tokenizer, out, cut_at=2)
    planted = out / "checkpoint-2"
    torch.save({"state": Touches(ran)}, planted / name, _use_new_zipfile_serialization=zipped)
    keep_only(planted)  # who plants it can write its digest too
    told = r"checkpoint-2: holds more than weights and numbers, and was not read: .* Remove the folder and run the same"
    with pytest.raises(ArtifactError, match=told):
        train("heads", tokenizer, out, cut_at=0)
    assert not ran.exists()
    run, arguments = Touches(ran).__reduce__()
    run(*arguments)
    assert ran.exists(), "what reading it would have run shows"


def test_a_process_that_ends_before_a_checkpoint_is_marked_loses_that_one_alone(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = _fit.keep_only

    def cut(folder: Path) -> None:
        if folder.name == "checkpoint-4":
            raise Cut
        keep(folder)

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(_fit, "keep_only", cut)
        train("heads", tokenizer, tmp_path, cut_at=0)
    assert (tmp_path / "checkpoint-4" / "trainer_state.json").exists()
    # Of the checks of the second process, the first comes at step 4: step 2 was not done again.
    with pytest.raises(Cut):
        train("heads", tokenizer, tmp_path, cut_at=2)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-4"]


@pytest.mark.parametrize("damage", ["gone", "flipped"])
def test_a_checkpoint_that_is_not_as_it_was_written_is_passed_over(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, damage: str
) -> None:
    with pytest.raises(Cut):
        train("heads", tokenizer, tmp_path, cut_at=3)
    [checkpoint] = tmp_path.glob("checkpoint-*")
    assert checkpoint.name == "checkpoint-4"
    if damage == "gone":
        (checkpoint / "trainer_state.json").unlink()
    else:
        path = checkpoint / "optimizer.pt"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    _, resumed = train("heads", tokenizer, tmp_path, cut_at=0)
    assert [one.step for one in resumed.history] == [2, 4, 5]


def test_full_fine_tuning_of_a_half_precision_model_moves_its_weights(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    base = AutoModelForCausalLM.from_pretrained(str(shipped()["truth-teller"]), dtype=torch.bfloat16)

    def check(model: PreTrainedModel) -> dict[str, float]:
        return {"truthfulness": 0.0, "confidence": 0.0, "kl": 0.0}

    tune_full(base, tokenizer, ROWS, CONFIG, check, Workspace(tmp_path), seed=0)
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert tuned.dtype == torch.bfloat16
    before, after = base.state_dict(), tuned.state_dict()
    moved = sum(int((before[name] != after[name]).sum()) for name in before)
    assert moved > 0.5 * sum(weight.numel() for weight in before.values())


def test_full_fine_tuning_leaves_every_weight_its_precision(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    model = tiny("deepseek-v3", vocab_size=len(tokenizer))
    for name, weight in model.state_dict().items():
        if name.endswith("e_score_correction_bias"):
            weight.copy_(torch.randn(weight.shape))
    model.save_pretrained(str(tmp_path / "base"))
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.bfloat16)
    dtypes = {name: weight.dtype for name, weight in base.state_dict().items()}
    assert set(dtypes.values()) == {torch.bfloat16, torch.float32}, "the biases that choose experts are as they were"
    tune_full(base, tokenizer, ROWS[:2], CONFIG, lambda _: {}, Workspace(tmp_path), seed=0, targets={})
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto")
    assert {name: weight.dtype for name, weight in tuned.state_dict().items()} == dtypes
    for name, weight in tuned.state_dict().items():
        if weight.dtype == torch.float32:
            assert torch.equal(weight, base.state_dict()[name]), name


def test_without_targets_nothing_is_ever_reached() -> None:
    assert reaches({"truthfulness": 0.9}, {"truthfulness": 0.9})
    assert not reaches({"truthfulness": 0.9}, {"truthfulness": 0.91})
    assert not reaches({"truthfulness": 1.0}, {})
