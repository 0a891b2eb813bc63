"""What fits on which device, and how long it takes: free memory, cards together, operations counted by torch."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, PreTrainedTokenizerBase

import pinpoint
from bench._shapes import Shape, make_model, make_pairs
from pinpoint.config import RunConfig, settings_of
from pinpoint.models import headed
from pinpoint.pipeline import _devices, _estimate_training, _fitting, inspect_model
from pinpoint.pipeline._devices import Device, devices, flop_rate
from pinpoint.pipeline._estimate import Workload, locate_cost, weight_bytes
from pinpoint.pipeline._estimate_passes import Items
from pinpoint.pipeline._estimate_training import full_cost, tune_cost
from pinpoint.pipeline._fitting import Asked, Estimate, estimates
from pinpoint.pipeline._inspect import skeleton
from tests.families import tiny
from tests.pipeline.test_inspect import PUBLISHED, folder
from tests.tune.test_resume import ROWS
from tests.tune.test_trainer import Watched

CARD = 80 << 30
RATE = 1e12
STAGES = ("locate", "verify", "tune", "evaluate")


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has so many cards of a size, and so much of the host's memory, be free."""

    def have(*cards: int, host: int = CARD) -> None:
        found = [Device(f"cuda:{i} (card)", torch.device("cuda", i), size) for i, size in enumerate(cards)]
        found.append(Device("cpu", torch.device("cpu"), host))
        some = {"auto": found, "cpu": found[-1:]}
        monkeypatch.setattr(_fitting, "devices", lambda asked: some[asked])
        monkeypatch.setattr(_fitting, "flop_rate", lambda device, dtype: RATE / dtype.itemsize)

    return have


def fits(path: str, **settings: Any) -> dict[tuple[str, str], bool]:
    found = inspect_model(path, settings_of(path, None, settings))
    return {(one.stage, one.device): one.fits for one in found.estimates}


def test_cards_hold_together_what_none_holds_alone(tmp_path: Path, at_hand: Callable[..., None]) -> None:
    path = folder(tmp_path, PUBLISHED["Qwen2.5-72B-Instruct"][0])
    at_hand(CARD, CARD)
    few: Any = {"tune": {"micro_batch_size": 2}}
    each = ("cuda:0 (card)", "cuda:1 (card)", "cpu")
    alone = {(stage, device): False for stage in (*STAGES, "tune_full") for device in each}
    both = {stage: stage != "evaluate" for stage in STAGES}  # which holds the base and the model beside it
    auto = {(stage, "each of 2 cards, --device-map auto"): fit for stage, fit in both.items()}
    assert fits(path, **few) == alone | auto
    together = {(stage, "each of 2 cards"): fit for stage, fit in both.items()}
    assert fits(path, device_map="auto", **few) == together
    assert fits(path, device_map="auto") == together | {("tune", "each of 2 cards"): False}, "32 dialogues at once"
    at_hand(CARD // 2, CARD // 2)
    assert not any(fits(path, device_map="auto", **few).values())
    found = inspect_model(path, settings_of(path, None, {"device_map": "auto"}))
    assert "locate does not fit on each of 2 cards: " in " ".join(found.notes)
    at_hand(4 * CARD, 4 * CARD)
    assert not any("each" in device for _, device in fits(path, **few)), "one card does, but for what needs one alone"


@pytest.mark.parametrize("settings", [{"device_map": "auto"}, {"device_map": "disk"}, {"bits": 4}])
def test_full_fine_tuning_is_not_estimated_where_it_is_refused(
    settings: dict[str, Any], tmp_path: Path, at_hand: Callable[..., None]
) -> None:
    path = folder(tmp_path, PUBLISHED["Mistral-7B-Instruct-v0.2"][0])
    at_hand(CARD, CARD)
    assert ("tune_full", "cuda:0 (card)") in fits(path)
    found = inspect_model(path, settings_of(path, None, settings))
    assert {one.stage for one in found.estimates} == set(STAGES)
    assert any(note.startswith("tune_full cannot run on ") and "(full: null)" in note for note in found.notes)
    without = inspect_model(path, settings_of(path, None, settings | {"full": None}))
    assert not any("tune_full" in note for note in without.notes)


def test_each_card_has_its_share_of_the_layers_and_all_that_runs(tmp_path: Path, at_hand: Callable[..., None]) -> None:
    path = folder(tmp_path, PUBLISHED["Mistral-7B-Instruct-v0.2"][0])
    settings = settings_of(path, None, {"device_map": "balanced", "full": None})
    view, work = skeleton(AutoConfig.from_pretrained(path)), Workload.of(settings, 64, 1000)
    asked = Asked(view, torch.bfloat16, work, settings, Items.most(settings))

    def taken(*cards: int) -> list[int]:
        at_hand(*cards)
        return [one.bytes for one in estimates(asked, [])]

    costs = asked.costs(copied=True)
    assert tuple(costs) == STAGES
    weights = weight_bytes(view, 2, None)
    assert all(weights < cost.layered < cost.bytes for cost in costs.values()), "and what is kept of each layer"
    less = [cost.layered - cost.layered // 4 for cost in costs.values()]
    assert [one - four for one, four in zip(taken(1 << 40), taken(*4 * (1 << 40,)), strict=True)] == less


def test_blocks_that_the_host_keeps_need_its_memory_too(tmp_path: Path, at_hand: Callable[..., None]) -> None:
    path = folder(tmp_path, PUBLISHED["Qwen2.5-72B-Instruct"][0])
    kept = {"device_map": "host", "device": "auto"}
    at_hand(CARD, host=2 * CARD)
    assert fits(path, **kept)["locate", "cuda:0 (card)"]
    at_hand(CARD, host=CARD)
    assert not fits(path, **kept)["locate", "cuda:0 (card)"], "145 GB of weights"
    assert fits(path, device_map="disk")["locate", "cuda:0 (card)"]
    assert not fits(path, **kept)["locate", "cpu"], "beside a CPU nothing is fetched"


def test_rows_that_a_card_has_no_room_for_are_not_counted_on_it(tmp_path: Path, at_hand: Callable[..., None]) -> None:
    path = folder(tmp_path, PUBLISHED["Mistral-7B-Instruct-v0.2"][0])
    settings = settings_of(path, None, {"locate": {"batch_size": 100}})
    view, work = skeleton(AutoConfig.from_pretrained(path)), Workload.of(settings, 100, 1000)
    cost = locate_cost(view, torch.bfloat16, work)
    rows = 100 * (1 + 32 * 32) * 4096 * 4
    assert 0 < cost.waiting <= rows < cost.bytes

    asked = Asked(view, torch.bfloat16, work, settings, Items.most(settings))

    def located(size: int) -> list[Estimate]:
        at_hand(size, host=size)
        return [one for one in estimates(asked, []) if one.stage == "locate"]

    assert [one.bytes for one in located(cost.bytes + 1)] == [cost.bytes, cost.bytes]
    on_card, on_host = located(cost.bytes - 1)
    assert on_card.fits and on_card.bytes == cost.bytes - cost.waiting
    assert not on_host.fits and on_host.bytes == cost.bytes, "the host's memory is the only one"


def test_the_devices_are_every_gpu_and_the_cpu_with_what_they_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < devices("cpu")[-1].bytes < psutil.virtual_memory().total
    left = {"cpu": 5 << 30, "mps": 7 << 30}
    monkeypatch.setattr(_devices, "free", lambda device: left[device.type])
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert [(one.name, one.bytes) for one in devices() if one.name in left] == [("mps", 7 << 30), ("cpu", 5 << 30)]


@pytest.mark.parametrize(("tick", "products", "ticks"), [(0.06, 3, 4), (1.0, 1, 1)])
def test_a_rate_is_products_over_the_time_that_they_took(tick: float, products: int, ticks: int) -> None:
    clock = itertools.count()
    # Products that warm up are not counted; one that takes longer than all may, is.
    rate = flop_rate(devices("cpu")[-1], torch.float32, lambda: tick * next(clock))
    assert rate == pytest.approx(products * 2 * 1024**3 / (ticks * tick))


def test_the_time_is_the_operations_at_the_device_s_rate(tmp_path: Path, at_hand: Callable[..., None]) -> None:
    path = folder(tmp_path, PUBLISHED["Mistral-7B-Instruct-v0.2"][0])
    at_hand()
    view, settings = skeleton(AutoConfig.from_pretrained(path)), settings_of(path, None, {})
    work = Workload.of(settings, 64, 1000)
    asked = Asked(view, torch.bfloat16, work, settings, Items.most(settings))
    found = {one.stage: one.seconds for one in estimates(asked, [])}
    assert found["locate"] == locate_cost(view, torch.bfloat16, work).flops / (RATE / 2)
    assert found["tune"] == tune_cost(view, torch.bfloat16, work).flops / (RATE / 2)
    assert settings.full is not None
    whole = full_cost(view, torch.bfloat16, work.trained_by(settings.full, settings.data.dialogues))
    assert found["tune_full"] == whole.flops / (RATE / 4), "of a copy in float32"


def test_what_is_not_read_of_a_mapped_checkpoint_takes_no_memory(tmp_path: Path, at_hand: Callable[..., None]) -> None:
    at_hand(CARD)

    def taken(**more: Any) -> list[int]:
        config = PUBLISHED["Mistral-7B-Instruct-v0.2"][0] | {"tie_word_embeddings": False, **more.pop("config", {})}
        path = folder(tmp_path, config)
        asked = settings_of(path, None, {"device_map": "disk", **more})
        return [one.bytes for one in inspect_model(path, asked).estimates]

    card, cpu = taken()[:4], taken()[4:]
    plain = settings_of(str(tmp_path), None, {})
    reply = 128 + plain.evaluate.max_new_tokens
    # A token reads a row: of 32 prompts, or dialogues, of 128, and of prompts and what is replied to them.
    read = [32 * 128, plain.verify.batch_size * reply, 32 * 128, plain.evaluate.batch_size * reply]
    models = (1, 1, 1, 2)
    unread = [some * (32000 - rows) * 4096 * 2 for some, rows in zip(models, read, strict=True)]
    assert min(unread) > 0
    assert [whole - less for whole, less in zip(card, cpu, strict=True)] == unread
    copied = taken(dtype="float16")
    assert copied[:4] == card and copied[4:] == card, "weights in another dtype are read as they are loaded"
    tied = taken(config={"tie_word_embeddings": True})
    assert tied[:4] == tied[4:], "they are unembedded by"
    shared = [some * 32000 * 4096 * 2 for some in models]
    assert [whole - one for whole, one in zip(card, tied[:4], strict=True)] == shared


SHAPE = Shape(layers=4, heads=4, groups=2, d_head=32, inner=512, vocabulary=64, pairs=3, shared=48, after=16)


@pytest.mark.parametrize("method", ["path", "activation", "attribution", "knockout"])
def test_the_operations_of_locating_are_those_that_torch_counts(method: str) -> None:
    model, some = make_model(SHAPE, attention="eager"), make_pairs(SHAPE)
    means = {"means": torch.zeros(SHAPE.layers, SHAPE.heads, SHAPE.d_head)} if method == "knockout" else {}
    with FlopCounterMode(display=False) as counter:
        pinpoint.locate(model, None, some, method=method, **means)
    asked = {"method": method, "pairs": SHAPE.pairs, "contrasts": []}
    work = Workload.of(RunConfig.model_validate({"model": "", "locate": asked}), SHAPE.tokens, 0)
    assert work.pairs == SHAPE.pairs
    counted = locate_cost(headed(model), torch.float32, work).flops
    # Attention's own products are not counted: less than a tenth of all at such lengths.
    assert 0.9 < counted / counter.get_total_flops() < 1.05


def test_the_operations_of_tuning_are_those_that_torch_counts(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(0, tokenizer, tmp_path, monkeypatch)

    def length(messages: list[Any], **more: Any) -> int:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, **more))
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    rows = [(row["prompt"], row["prompt"] + row["completion"]) for row in ROWS[:4]]
    # One epoch.
    scored = sum(length(whole) - length(prompt, add_generation_prompt=True) for prompt, whole in rows)
    monkeypatch.setattr(_estimate_training, "REPLY", scored / watched.tokens)
    view = headed(tiny("llama-gqa", vocab_size=len(tokenizer)))
    work = Workload(1, 1, 1, watched.tokens, 1, 1, watched.fitted.trainable)
    # A kernel of TRL's unembeds once more for the gradient; it is for GPUs.
    once_more = 2 * scored * view.config.hidden_size * view.config.vocab_size
    assert 0.97 < (tune_cost(view, torch.float32, work).flops - once_more) / watched.operations < 1.03
