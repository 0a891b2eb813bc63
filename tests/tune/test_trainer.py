"""What a trainer is told of devices and processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from trl import SFTConfig

from pinpoint.behaviours import PreferenceRow
from pinpoint.config import TuneConfig
from pinpoint.errors import ConfigError
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.processes import Processes
from pinpoint.progress import Silent
from pinpoint.tune import _fit, attach, fit, head_slices
from pinpoint.tune._trainer import _on, trainer_of
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


def cost_of_training(layer: int, tokenizer: PreTrainedTokenizerBase, out: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Floating-point operations of training a head of a layer; what waits for gradients and has state is looked at."""
    base = AutoModelForCausalLM.from_pretrained(str(shipped()["truth-teller"]), dtype=torch.float32)
    view = headed(base)
    reached: set[int] = set()

    def sees(number: int) -> Callable[..., None]:
        def seen(_module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if (args[0] if args else kwargs["hidden_states"]).requires_grad:
                reached.add(number)

        return seen

    for number, block in enumerate(view.layers):
        block.register_forward_pre_hook(sees(number), with_kwargs=True)
    made: list[Any] = []
    monkeypatch.setattr(_fit, "trainer_of", lambda *args, **more: made.append(trainer_of(*args, **more)) or made[-1])
    model = attach(view, head_slices(view, [Head(layer, 1)], "q,o"))
    told: dict[str, Any] = {"seed": 0, "out": out, "progress": Silent(), "what": "x"}
    with FlopCounterMode(display=False) as counter:
        fitted = fit(model, tokenizer, ROWS, CONFIG, lambda _: {"truthfulness": 0.0, "confidence": 0.0}, **told)
    assert reached == set(range(layer + 1, view.n_layers)), "at the head's own block and below, nothing waits"
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    state = made[-1].optimizer.state
    assert len(state) == len(trained) and all(parameter in state for parameter in trained)
    assert sum(one["exp_avg"].numel() for one in state.values()) == fitted.trainable < 0.01 * base.num_parameters()
    return int(counter.get_total_flops())


def test_training_goes_back_no_lower_than_the_lowest_head_and_keeps_state_for_its_slices_alone(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowest, highest = (cost_of_training(layer, tokenizer, tmp_path, monkeypatch) for layer in (0, 7))
    assert lowest > 1.4 * highest, "the backward pass of seven blocks is saved"
