"""What a trainer is told of devices and processes, and what it keeps and computes for the sake of a few heads."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerBase
from trl import DPOTrainer, SFTConfig, SFTTrainer

from pinpoint.behaviours import PreferenceRow, TrainingRow
from pinpoint.config import TuneConfig
from pinpoint.data import assistant
from pinpoint.errors import ConfigError, InputError
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.processes import Processes
from pinpoint.progress import Silent
from pinpoint.tune import _trainer, attach, check_rows, fit, head_slices
from pinpoint.tune._trainer import _on, _Preferring, trainer_of
from tests.families import tiny
from tests.tune.test_resume import CONFIG, ROWS


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


@pytest.mark.parametrize("after", ["", "\n"])
def test_a_row_longer_than_the_model_reads_is_refused_before_a_step_and_one_as_long_is_not(
    after: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    own = copy.deepcopy(tokenizer)
    assert isinstance(own.chat_template, str)
    own.chat_template = own.chat_template.replace("<|end|>", f"<|end|>{after}")
    settings = {"output_dir": str(tmp_path / "x"), "use_cpu": True, "bf16": False, "report_to": "none"}
    view = headed(tiny("llama-gqa", vocab_size=len(own)))
    live = attach(view, head_slices(view, [Head(0, 1)], "q,o"))

    def length(rows: list[Any]) -> int:
        trainer = trainer_of(rows, dict(settings), None, live, None, model=live, processing_class=own)
        return max(len(ids) for row in trainer.train_dataset for ids in read(row))

    def read(row: dict[str, Any]) -> list[list[int]]:
        """What the model is given of a row, once or once for each reply."""
        if "input_ids" in row:
            return [row["input_ids"]]
        return [row["prompt_ids"] + row[f"{which}_ids"] for which in ("chosen", "rejected")]

    long = ROWS[0]["prompt"][0]["content"] + " Then copy it again."
    asked, said = [{"role": "user", "content": long}], [{"role": "assistant", "content": "apple and bread"}]
    supervised = [*ROWS, TrainingRow(prompt=asked, completion=said)]
    short = [{"role": "assistant", "content": "milk"}]
    preferences = [PreferenceRow(prompt=asked, chosen=short, rejected=said)]
    for rows in (supervised, preferences):
        most = length(rows)
        check_rows(rows, own, most)
        check_rows(rows, own, None)
        model = tiny("llama-gqa", vocab_size=len(own), max_position_embeddings=most - 1)
        told = {"seed": 0, "out": tmp_path / "out", "progress": Silent(), "what": "x"}
        told_length = rf"the dialogue has {most} tokens, the model reads {most - 1}\. Drop or"
        with pytest.raises(InputError, match=rf"^training row {len(rows) - 1} \(.*\): {told_length}"):
            fit(model, own, rows, TuneConfig(), lambda _: {}, **told)  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()


def test_trl_tells_its_makers_of_no_training(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *said, **_: told.append(said))
    monkeypatch.delenv("CI", raising=False)  # TRL tells nothing there
    settings = {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False, "report_to": "none"}
    model = tiny("llama-gqa", vocab_size=len(tokenizer))
    rows = Dataset.from_list([dict(row) for row in ROWS[:1]])
    SFTTrainer(model, SFTConfig(**settings), train_dataset=rows, processing_class=tokenizer)
    assert len(told) == 1, "left alone, it tells"
    trainer_of(ROWS[:1], dict(settings), None, model, None, model=model, processing_class=tokenizer)
    assert len(told) == 1
    assert _Preferring._send_telemetry is not DPOTrainer._send_telemetry


class Watched:
    """A training of one head: the blocks that gradients passed through, what the optimizer kept, what it all cost."""

    def __init__(self, layer: int, tokenizer: PreTrainedTokenizerBase, out: Path, patch: pytest.MonkeyPatch) -> None:
        view = headed(tiny("llama-gqa", vocab_size=len(tokenizer)))
        self.weights = [sum(one.numel() for one in block.parameters() if one.dim() == 2) for block in view.layers]
        self.through: set[int] = set()
        self.tokens = 0
        for number, block in enumerate(view.layers):
            block.register_forward_pre_hook(partial(self._enters, number), with_kwargs=True)
        made: list[Any] = []
        patch.setattr(_trainer, "trainer_of", lambda *args, **more: made.append(trainer_of(*args, **more)) or made[-1])
        self.model = attach(view, head_slices(view, [Head(layer, 1)], "q,o"))
        told: dict[str, Any] = {"seed": 0, "out": out, "progress": Silent(), "what": "x", "targets": {}}
        with FlopCounterMode(display=False) as counter:
            self.fitted = fit(self.model, tokenizer, ROWS[:4], CONFIG, lambda _: {}, **told)
        self.operations = counter.get_total_flops()
        self.state = made[0].optimizer.state

    def _enters(self, number: int, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        if states.requires_grad:
            self.through.add(number)
        if number == 0:
            self.tokens += states.shape[0] * states.shape[1]


@pytest.fixture(scope="module")
def watched(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> list[Watched]:
    """The same training, of a head in each of the three layers."""
    with pytest.MonkeyPatch.context() as patch:
        return [Watched(layer, tokenizer, tmp_path_factory.mktemp("out"), patch) for layer in range(3)]


def test_gradients_pass_through_no_block_below_the_lowest_head(watched: list[Watched]) -> None:
    assert [one.through for one in watched] == [{1, 2}, {2}, set()]
    for lower, higher, weights in zip(watched, watched[1:], watched[0].weights[1:], strict=False):
        # A frozen weight costs the backward pass a multiplication and an addition for each token.
        assert lower.operations - higher.operations == 2 * lower.tokens * weights > 0


def test_the_optimizer_keeps_state_for_the_slices_alone(watched: list[Watched]) -> None:
    for one in watched:
        assert set(one.state) == {parameter for parameter in one.model.parameters() if parameter.requires_grad}
        for moment in ("exp_avg", "exp_avg_sq"):
            assert sum(kept[moment].numel() for kept in one.state.values()) == one.fitted.trainable
        assert 0 < one.fitted.trainable < sum(one.weights) / 10


def test_a_pair_of_replies_is_asked_for_once_and_the_losses_are_those_of_asking_at_every_step(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [PreferenceRow(prompt=row["prompt"], chosen=row["completion"], rejected=[assistant("no.")]) for row in ROWS]
    asked: list[int] = []
    own = DPOTrainer.compute_ref_log_probs

    def counted(trainer: Any, model: Any, inputs: dict[str, Any]) -> Any:
        asked.append(len(inputs["input_ids"]) // 2)
        return own(trainer, model, inputs)

    def losses(out: str) -> list[float]:
        view = headed(tiny("llama-gqa", vocab_size=len(tokenizer)))
        live = attach(view, head_slices(view, [Head(0, 1), Head(1, 2)], "q,o"))
        config = TuneConfig(batch_size=4, epochs=3, learning_rate=1e-2, check_every=100)
        told = {"seed": 0, "out": tmp_path / out, "progress": Silent(), "what": "x", "targets": {}}
        return fit(live, tokenizer, rows, config, lambda _: {"kl": 0.0}, **told).losses  # type: ignore[arg-type]

    monkeypatch.setattr(DPOTrainer, "compute_ref_log_probs", counted)
    once = losses("once")
    assert sum(asked) == len(rows) < 3 * len(rows), "one pass over the rows, of three"
    monkeypatch.setattr(_Preferring, "compute_loss", _as_trl)
    every = losses("every")
    assert once == pytest.approx(every, abs=1e-6) and every[0] - every[-1] > 1e-3


def _as_trl(trainer: Any, *args: Any, **kwargs: Any) -> Any:
    trainer.precompute_ref_logps = False
    return DPOTrainer.compute_loss(trainer, *args, **kwargs)
