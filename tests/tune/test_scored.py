"""The loss of a step, of the positions that have one: the model's own loss, and no other position is unembedded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerBase

from pinpoint.data import pad
from pinpoint.heads import Head
from pinpoint.measure import anchor_rows, reply_kl
from pinpoint.models import headed
from pinpoint.tune import Anchor, attach, head_slices
from pinpoint.tune._trainer import trainer_of
from tests.families import tiny
from tests.tune.test_memory import NEUTRAL
from tests.tune.test_resume import ROWS

# A plain head; scaled logits; capped ones; a bias; a loss over routers too; tied weights and learned positions.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama-gqa": {},
    "granite": {},
    "gemma2": {},
    "phi": {},
    "mixtral": {"output_router_logits": True, "router_aux_loss_coef": 0.3},
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
}


def trainer(family: str, tokenizer: PreTrainedTokenizerBase, out: Path, anchor: Anchor | None = None) -> Any:
    view = headed(tiny(family, vocab_size=len(tokenizer), **FAMILIES[family]))
    live = attach(view, head_slices(view, [Head(0, 1), Head(1, 0)], "q,o"))
    torch.manual_seed(1)
    for weight in live.parameters():
        if weight.requires_grad:
            weight.data = 0.1 * torch.randn_like(weight)
    arguments = {
        "output_dir": str(out),
        "per_device_train_batch_size": len(ROWS),
        "max_length": None,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "report_to": "none",
    }
    return trainer_of(ROWS, arguments, anchor, live, torch.device("cpu"), model=live, processing_class=tokenizer)


def gradients(model: PeftModel) -> list[torch.Tensor]:
    found = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad(set_to_none=True)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_those_of_the_models_own_loss(
    family: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    ours = trainer(family, tokenizer, tmp_path)
    model = ours.model
    batch = next(iter(ours.get_train_dataloader()))
    assert (batch["labels"] != -100).sum() < 0.8 * batch["attention_mask"].sum()
    before = {name: value.clone() for name, value in batch.items()}
    loss = ours.compute_loss(model, batch)
    loss.backward()
    found = gradients(model)
    assert {name: value.tolist() for name, value in batch.items() if torch.is_tensor(value)} == {
        name: value.tolist() for name, value in before.items()
    }
    own = model(**before).loss
    own.backward()
    assert float(loss) == pytest.approx(float(own), rel=1e-5)
    for one, other in zip(found, gradients(model), strict=True):
        assert torch.allclose(one, other, atol=1e-5 * float(other.abs().max()))


def test_what_has_no_loss_is_not_unembedded(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    ours = trainer("llama-gqa", tokenizer, tmp_path)
    model = ours.model.get_base_model()
    batch = next(iter(ours.get_train_dataloader()))
    with torch.no_grad():
        with FlopCounterMode(display=False) as whole:
            ours.compute_loss(ours.model, batch)
        with FlopCounterMode(display=False) as below:
            model.base_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
    scored = int((batch["labels"][:, 1:] != -100).sum())
    head = 2 * scored * model.config.vocab_size * model.config.hidden_size
    assert whole.get_total_flops() == below.get_total_flops() + head


def test_a_batch_without_a_single_label_has_a_loss_of_zero_and_gradients_of_zero(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    ours = trainer("llama-gqa", tokenizer, tmp_path)
    batch = next(iter(ours.get_train_dataloader()))
    batch["labels"].fill_(-100)
    loss = ours.compute_loss(ours.model, batch, num_items_in_batch=7)
    loss.backward()
    assert float(loss) == 0
    assert all(not grad.any() for grad in gradients(ours.model))


@pytest.mark.parametrize("step", [0, 1])
def test_the_hold_is_the_mean_divergence_of_the_replies_tokens_sixteen_dialogues_a_step(
    step: int, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    every = anchor_rows(tokenizer, NEUTRAL, None)[:20]
    assert len(every) == 20
    rows = [*every[16:], *every[:12]] if step else every[:16]
    anchor = Anchor(every, 0.5)
    ours = trainer("gemma2", tokenizer, tmp_path, anchor)
    ours.state.global_step = step
    model = ours.model
    held = ours._hold(model, anchor)
    found = gradients(model)
    inputs = pad([row.ids for row in rows], "right", model.device).inputs()
    with torch.no_grad(), model.disable_adapter():
        base = model(**inputs).logits
    live = model(**inputs).logits
    each = torch.cat([reply_kl(base[i, row.deciding], live[i, row.deciding]) for i, row in enumerate(rows)])
    expected = 0.5 * each.mean()
    expected.backward()
    assert float(sum(held)) == pytest.approx(float(expected), rel=1e-5) and float(expected) > 1e-3
    for one, other in zip(found, gradients(model), strict=True):
        assert torch.allclose(one, other, atol=1e-5 * float(other.abs().max()))
