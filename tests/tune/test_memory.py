"""A training step in parts: the same gradients, hence the same weights."""

import warnings
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.behaviours import PreferenceRow
from pinpoint.config import TuneConfig
from pinpoint.data import Dialogue, assistant, user
from pinpoint.errors import ConfigError, OutOfMemory, PinpointWarning
from pinpoint.heads import Head
from pinpoint.measure import anchor_rows
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.progress import Silent
from pinpoint.tune import Anchor, Fitted, Row, attach, fit, head_slices
from tests.families import tiny
from tests.scarce import scarce
from tests.tune.test_resume import ROWS

CONFIG = TuneConfig(learning_rate=1e-3, batch_size=8, epochs=2, check_every=8)
NEUTRAL = [
    Dialogue(id=str(i), messages=[user(f"Copy this list: {i} milk."), assistant(f"{i} milk.")]) for i in range(20)
]


def trained(
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    rows_that_fit: int,
    *,
    after: int = 0,
    hold: bool,
    rows: list[Row],
    part: int | None = None,
) -> tuple[dict[str, torch.Tensor], Fitted]:
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(str(shipped()["truth-teller"]), dtype=torch.float32)
    view = headed(base)
    model = attach(view, head_slices(view, [Head(0, 1), Head(3, 2)], "q,o"))
    anchor = Anchor(anchor_rows(tokenizer, NEUTRAL, None), 0.5) if hold else None
    with scarce(base.model.layers[4].mlp, rows_that_fit, after=after):
        fitted = fit(
            model,
            tokenizer,
            rows,
            CONFIG.model_copy(update={"micro_batch_size": part}),
            lambda model: {"truthfulness": 0.0, "confidence": 0.0},
            seed=0,
            out=out,
            progress=Silent(),
            what="x",
            anchor=anchor,
        )
    return {name: value.clone() for name, value in model.state_dict().items() if "lora" in name}, fitted


@pytest.mark.parametrize(("hold", "fits", "after"), [(False, 3, 0), (True, 4, 7)])
def test_a_step_in_parts_trains_to_the_same_weights(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, hold: bool, fits: int, after: int
) -> None:
    whole, fitted = trained(tokenizer, tmp_path, 99, hold=hold, rows=ROWS)
    with pytest.warns(PinpointWarning, match=r"memory ran out with 8 at once \(tuning's batch_size\); going on with 4"):
        parts, short = trained(tokenizer, tmp_path, fits, after=after, hold=hold, rows=ROWS)
    start, _ = trained(tokenizer, tmp_path, 99, hold=hold, rows=ROWS[:1])
    assert short.losses == pytest.approx(fitted.losses, rel=1e-4)
    moved = max(float((whole[name] - start[name]).abs().max()) for name in whole)
    assert moved > 1e-4, "training must change something"
    assert all(torch.allclose(parts[name], whole[name], atol=moved / 100) for name in whole)


def test_steps_are_taken_in_parts_where_asked(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    whole, fitted = trained(tokenizer, tmp_path, 99, hold=True, rows=ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PinpointWarning)  # memory for three rows is enough
        parts, short = trained(tokenizer, tmp_path, 3, hold=True, rows=ROWS, part=3)
    assert len(short.losses) == len(fitted.losses) and short.losses == pytest.approx(fitted.losses, rel=1e-4)
    start, _ = trained(tokenizer, tmp_path, 99, hold=True, rows=ROWS[:1])
    moved = max(float((whole[name] - start[name]).abs().max()) for name in whole)
    assert all(torch.allclose(parts[name], whole[name], atol=moved / 100) for name in whole)


def test_a_router_with_an_auxiliary_loss_is_not_trained_in_parts(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model = tiny("mixtral").float()
    model.config.output_router_logits = True
    model.requires_grad_(True)
    told = {"seed": 0, "out": tmp_path, "progress": Silent(), "what": "x"}
    config = CONFIG.model_copy(update={"micro_batch_size": 3})
    with pytest.raises(ConfigError, match=r"^micro_batch_size: the auxiliary loss .* cannot be taken in parts"):
        fit(model, tokenizer, ROWS, config, lambda _: {}, **told)  # type: ignore[arg-type]


def test_a_pair_of_replies_is_not_parted_and_one_row_that_does_not_fit_is_an_error(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    preferences = [
        PreferenceRow(prompt=row["prompt"], chosen=row["completion"], rejected=[assistant("no.")]) for row in ROWS
    ]
    with pytest.raises(OutOfMemory, match=r"ran out tuning x\. Lower its batch_size"):
        trained(tokenizer, tmp_path, 4, hold=False, rows=preferences)
    with pytest.warns(PinpointWarning), pytest.raises(OutOfMemory, match="batch_size at 1"):
        trained(tokenizer, tmp_path, 0, hold=False, rows=ROWS)
