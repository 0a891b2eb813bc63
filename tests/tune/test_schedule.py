"""How the learning rate falls, and how many steps are told of."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.progress import Silent
from pinpoint.tune import attach, fit, head_slices
from tests.tune.test_resume import CONFIG, ROWS


class Counted(Silent):
    """Counts what it is told."""

    def start(self, what: str, total: int) -> None:
        """A piece of work begins."""
        self.total, self.done = total, 0

    def advance(self, steps: int = 1) -> None:
        """Steps are done."""
        self.done += steps


@pytest.mark.parametrize(("batch", "epochs", "steps"), [(2, 1.5, 8), (4, 1.5, 5), (4, 2.25, 7), (8, 2, 4)])
def test_the_rate_falls_to_its_end_over_as_many_steps_as_are_told(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, batch: int, epochs: float, steps: int
) -> None:
    base = AutoModelForCausalLM.from_pretrained(str(shipped()["truth-teller"]), dtype=torch.float32)
    view = headed(base)
    model = attach(view, head_slices(view, [Head(3, 2)], "q,o"))
    changes = {"batch_size": batch, "epochs": epochs, "end_learning_rate": 4e-4, "check_every": 1}
    config, progress = CONFIG.model_copy(update=changes), Counted()
    rates = {"truthfulness": 0.0, "confidence": 0.0}
    told = {"seed": 0, "out": tmp_path, "progress": progress, "what": "x"}
    fit(model, tokenizer, ROWS, config, lambda _: rates, resume=True, **told)  # type: ignore[arg-type]
    assert (progress.total, progress.done) == (steps, steps)
    state = json.loads((tmp_path / f"checkpoint-{steps}" / "trainer_state.json").read_text(encoding="utf-8"))
    used = [entry["learning_rate"] for entry in state["log_history"] if "learning_rate" in entry]
    # Steps of warming up, then a straight line that meets the end where training does.
    warm = min(4, steps - 1)
    line = [1e-3 - 6e-4 * step / (steps - warm) for step in range(steps - warm)]
    assert used == pytest.approx([*(1e-3 * step / warm for step in range(warm)), *line])
