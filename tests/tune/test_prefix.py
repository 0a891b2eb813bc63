"""The frozen layers below the lowest head, computed once: the losses and the adapter are what they were."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.behaviours import PreferenceRow
from pinpoint.config import RunConfig, TuneConfig
from pinpoint.data import assistant
from pinpoint.errors import CheckFailed, ConfigError, StorageError
from pinpoint.heads import Head
from pinpoint.measure import anchor_rows
from pinpoint.models import headed
from pinpoint.processes import Processes
from pinpoint.progress import Silent
from pinpoint.tune import Anchor, Fitted, Row, _prefix, attach, fit, head_slices
from tests.families import tiny
from tests.tune.test_memory import NEUTRAL
from tests.tune.test_resume import ROWS, Cut

CONFIG = TuneConfig(learning_rate=1e-3, batch_size=4, epochs=3, check_every=4)
# Rows, tuples and additions in place between blocks; biases, parallel blocks, windows; routers and a loss over them.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama-gqa": {},
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "gemma3": {},
    "gpt-neox": {},
    "mixtral": {},
    "falcon-7b": {},
    "bloom": {"hidden_dropout": 0.0, "attention_dropout": 0.0},
    "jamba": {},
}


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def model_of(family: str, tokenizer: PreTrainedTokenizerBase, **more: Any) -> PreTrainedModel:
    return tiny(family, vocab_size=len(tokenizer), **(FAMILIES.get(family, {}) | more))


def tuned(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    *,
    cached: bool,
    heads: list[Head] | None = None,
    rows: list[Row] = ROWS,
    hold: bool = False,
    resume: bool = False,
    cut_at: int = 0,
    config: TuneConfig = CONFIG,
    progress: Silent | None = None,
    processes: Processes | None = None,
) -> tuple[dict[str, torch.Tensor], Fitted, int]:
    """The adapter, what training did, and how often the lowest block ran while a step was taken."""
    view = headed(base)
    last = view.attention_layers[-1]
    model = attach(view, head_slices(view, heads or [Head(last, 1), Head(last, 4)], "q,o"))
    ran = checks = 0

    def count(*_: Any) -> None:
        nonlocal ran
        ran += torch.is_grad_enabled()

    def check(_: PreTrainedModel) -> dict[str, float]:
        nonlocal checks
        checks += 1
        if checks == cut_at:
            raise Cut
        return {"truthfulness": 0.0, "confidence": 0.0}

    handle = view.layers[0].register_forward_hook(count)
    try:
        fitted = fit(
            model,
            tokenizer,
            rows,
            config.model_copy(update={"cache_prefix": cached}),
            check,
            seed=0,
            out=out,
            progress=progress or Silent(),
            what="x",
            anchor=Anchor(anchor_rows(tokenizer, NEUTRAL, None), 0.5) if hold else None,
            resume=resume,
            processes=processes,
        )
    finally:
        handle.remove()
    return {name: value.clone() for name, value in model.state_dict().items() if "lora" in name}, fitted, ran


def assert_same(with_it: tuple[dict, Fitted, int], without: tuple[dict, Fitted, int]) -> None:
    weights, fitted, ran = with_it
    expected, plain, ran_before = without
    assert ran == 0 and ran_before >= len(plain.losses), "the layers below must have been skipped"
    assert fitted.losses == pytest.approx(plain.losses, rel=1e-6)
    assert plain.losses[0] != pytest.approx(plain.losses[-1], rel=1e-3), "training must change something"
    moved = max(float(value.abs().max()) for name, value in expected.items() if float(value.max()) != 1)
    assert moved > 1e-4
    assert all(torch.allclose(weights[name], expected[name], atol=moved * 1e-3) for name in expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_losses_and_the_adapter_are_those_of_training_without_it(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, family: str
) -> None:
    plain = tuned(model_of(family, tokenizer), tokenizer, tmp_path, cached=False)
    assert_same(tuned(model_of(family, tokenizer), tokenizer, tmp_path, cached=True), plain)
    assert not list(tmp_path.glob("prefix*")), "what was kept goes when training ends"


def test_the_loss_over_all_routers_sees_those_below(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    plain, cached = (
        tuned(
            model_of("mixtral", tokenizer, router_aux_loss_coef=weight), tokenizer, tmp_path / f"{i}", cached=bool(i)
        )[1]
        for i, weight in enumerate((10.0, 10.0))
    )
    without = tuned(model_of("mixtral", tokenizer, router_aux_loss_coef=0.0), tokenizer, tmp_path, cached=True)[1]
    assert cached.losses == pytest.approx(plain.losses, rel=1e-6)
    assert without.losses != pytest.approx(plain.losses, rel=1e-2), "the term must matter for this to mean anything"


def test_neutral_dialogues_skip_the_layers_below_too(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    plain = tuned(model_of("llama-gqa", tokenizer), tokenizer, tmp_path, cached=False, hold=True)
    assert_same(tuned(model_of("llama-gqa", tokenizer), tokenizer, tmp_path, cached=True, hold=True), plain)


def test_a_second_process_ends_in_the_same_bits(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    more: dict[str, Any] = {"cached": True, "resume": True}
    weights, fitted, _ = tuned(model_of("gemma3", tokenizer), tokenizer, tmp_path / "whole", **more)
    with pytest.raises(Cut):
        tuned(model_of("gemma3", tokenizer), tokenizer, tmp_path / "cut", cut_at=2, **more)
    again, resumed, _ = tuned(model_of("gemma3", tokenizer), tokenizer, tmp_path / "cut", **more)
    assert resumed.history[0].step == 4 and resumed.losses == fitted.losses
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_heads_in_the_lowest_layer_leave_nothing_to_keep(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    said = Said()
    once = CONFIG.model_copy(update={"epochs": 1})
    *_, ran = tuned(
        model_of("llama-gqa", tokenizer),
        tokenizer,
        tmp_path,
        cached=True,
        heads=[Head(0, 1), Head(2, 1)],
        config=once,
        progress=said,
    )
    assert ran and "the lowest layer is tuned" in said.lines[0]


def test_dropout_below_the_heads_is_refused(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=r"tune\.cache_prefix: .*not put out the same at every pass.*dropout.*to 0"):
        tuned(tiny("gpt2", vocab_size=len(tokenizer)), tokenizer, tmp_path, cached=True)
    assert not list(tmp_path.glob("prefix*"))


def test_rows_that_depend_on_the_longest_of_a_batch_are_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
    base = model_of("phi3", tokenizer, rope_parameters=rope, original_max_position_embeddings=32)
    with pytest.raises(ConfigError, match="depend on the longest row of a batch"):
        tuned(base, tokenizer, tmp_path, cached=True)


def test_a_disk_without_room_is_told_of_before_training(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = _prefix.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(_prefix.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StorageError, match=r"the states of \d+ tokens take 0\.0 GiB, .*Train without"):
        tuned(model_of("llama-gqa", tokenizer), tokenizer, tmp_path, cached=True)


def test_what_cannot_be_computed_once_is_refused(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    base = model_of("llama-gqa", tokenizer)
    pairs = [PreferenceRow(prompt=row["prompt"], chosen=row["completion"], rejected=[assistant("no.")]) for row in ROWS]
    with pytest.raises(ConfigError, match=r"tune\.cache_prefix: preference rows"):
        tuned(base, tokenizer, tmp_path, cached=True, rows=pairs)
    with pytest.raises(ConfigError, match="or start one process"):
        tuned(base, tokenizer, tmp_path, cached=True, processes=Processes(0, 2))
    whole = model_of("llama-gqa", tokenizer).requires_grad_(True)
    cached = CONFIG.model_copy(update={"cache_prefix": True})
    with pytest.raises(ConfigError, match="embeddings train too"):
        fit(whole, tokenizer, ROWS, cached, lambda _: {}, seed=0, out=tmp_path, progress=Silent(), what="x", targets={})
    with pytest.raises(ValueError, match="cache_prefix is for head slices"):
        RunConfig(model="x", full=cached)
