"""Tuning on the model itself: its base is the adapter switched off, and afterwards it is what it was."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.config import TuneConfig
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.interventions import offloading
from pinpoint.measure import next_token_kl
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.tune import Tuned, put_on, tune_full, tune_heads
from pinpoint.tune._adapter import adapted, merged
from pinpoint.tune._slices import head_slices
from tests.families import tiny
from tests.tune.test_memory import NEUTRAL
from tests.tune.test_resume import ROWS, Cut

CONFIG = TuneConfig(learning_rate=1e-2, batch_size=5, epochs=2, check_every=2, projections="q,o")
HEADS = [Head(1, 4), Head(2, 3)]
IDS = torch.randint(3, 90, (2, 9), generator=torch.Generator().manual_seed(0))
# Plain projections; fused ones with biases; those that add the residual; transposed ones; experts that are converted.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama-gqa": {},
    "gpt-neox": {},
    "bloom": {"hidden_dropout": 0.0, "attention_dropout": 0.0},
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "mixtral": {},
}


def state(model: PreTrainedModel) -> dict[str, Any]:
    """All that tuning could leave behind."""
    return {
        "weights": {name: (one.requires_grad, one.detach().clone()) for name, one in model.named_parameters()},
        "modules": [(name, type(module)) for name, module in model.named_modules()],
        "config": model.config.to_dict(),
        "generation": model.generation_config.to_dict() if model.generation_config else None,
        "training": model.training,
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "names": set(vars(model)),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = before.pop("weights"), after.pop("weights")
    assert before == after
    assert old.keys() == new.keys()
    for name, (asked, weight) in old.items():
        assert new[name][0] == asked, name
        assert weight.is_meta or torch.equal(new[name][1], weight), name


def tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    check: Any = lambda _: {},
    config: TuneConfig = CONFIG,
    heads: list[Head] = HEADS,
) -> Tuned:
    return tune_heads(
        model, tokenizer, heads, ROWS, config, check, Workspace(out), base_path="x", seed=0, targets={}, neutral=NEUTRAL
    )


def test_the_base_is_the_model_without_its_adapter_and_is_left_as_it_was(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(str(shipped()["truth-teller"]), dtype=torch.float32).eval()
    model.get_input_embeddings().weight.requires_grad_(False)
    apart, before, found = copy.deepcopy(model), state(model), []

    def check(live: PreTrainedModel) -> Mapping[str, float]:
        on, off = (next_token_kl(base, live, tokenizer, NEUTRAL[:4], 4) for base in (model, apart))
        assert on == off, "the base is the model with the adapter off, to the bit"
        found.append(sum(on) / len(on))
        return {"kl": found[-1]}

    tuned = tune(model, tokenizer, tmp_path, check)
    assert len(found) == 2 and found[-1] > 1e-3
    assert tuned.fidelity is not None and tuned.fidelity < 1e-5 and tuned.drift is None
    assert_same(before, state(model))
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    with torch.no_grad():
        live = put_on(model, tmp_path / "adapter")
        assert (whole(IDS).logits - live(IDS).logits).abs().max() < 1e-4 * whole(IDS).logits.abs().max()
        assert (whole(IDS).logits - apart(IDS).logits).abs().max() > 1e-2


def test_what_ends_tuning_leaves_the_model_as_it_was(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    model = tiny("llama-gqa", vocab_size=len(tokenizer))
    before = state(model)

    def check(_: PreTrainedModel) -> Mapping[str, float]:
        raise Cut

    with pytest.raises(Cut):
        tune(model, tokenizer, tmp_path, check)
    assert_same(before, state(model))


def test_a_merge_that_overflows_is_an_error_and_is_taken_back() -> None:
    view = headed(tiny("llama-gqa"))
    before = state(view.model)
    with adapted(view, head_slices(view, HEADS, "o")) as live:
        layer = live.get_base_model().model.layers[2].self_attn.o_proj
        with torch.no_grad():
            layer.lora_B["default"].weight.fill_(float("inf"))
        where = r"model\.layers\.2\.self_attn\.o_proj: a merged weight is not finite\. Lower the learning rate"
        with pytest.raises(InputError, match=where), merged(live):
            pass
    assert_same(before, state(view.model))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_on_disk_is_tuned_to_the_weights_of_one_in_memory(
    family: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    tiny(family, vocab_size=len(tokenizer), **FAMILIES[family]).save_pretrained(source)
    tokenizer.save_pretrained(source)
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    config = CONFIG.model_copy(update={"anchor": 0.5})
    whole, disk = (pinpoint.load(source, "float32", "cpu", device_map=where).model for where in (None, "disk"))
    before, fetching = state(disk), len(offloading(disk))
    ours, theirs = (
        tune(disk, tokenizer, tmp_path / "disk", config=config),
        tune(whole, tokenizer, tmp_path / "whole", config=config),
    )
    assert ours.fitted.losses == pytest.approx(theirs.fitted.losses, rel=1e-5)
    assert ours.fidelity is not None and ours.fidelity < 1e-5
    for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors"):
        one, other = (load_file(tmp_path / where / name) for where in ("disk", "whole"))
        assert one.keys() == other.keys()
        assert all(torch.allclose(one[key], other[key], rtol=1e-3, atol=1e-5) for key in one)
    assert any(
        (weight != 0).any() for weight in load_file(tmp_path / "disk/adapter/adapter_model.safetensors").values()
    )
    moved = load_file(tmp_path / "disk/merged/model.safetensors")
    assert any(not torch.equal(moved[name], weight) for name, weight in load_file(source / "model.safetensors").items())
    assert len(offloading(disk)) == fetching > 0
    after = state(disk)
    if family == "mixtral":
        # transformers watches routers from the first pass on that asks for what they put out.
        del before["hooks"], after["hooks"]
    assert_same(before, after)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == files, "a checkpoint is read, not written"


def test_a_step_holds_the_weights_of_one_block_at_a_time(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny("llama-gqa", vocab_size=len(tokenizer)).save_pretrained(source)
    tokenizer.save_pretrained(source)
    model = pinpoint.load(source, "float32", "cpu", device_map="disk").model
    view = headed(model)
    with adapted(view, head_slices(view, [Head(1, 0)], "q,o")) as live:
        entering: list[torch.Tensor] = []
        view.layers[1].register_forward_pre_hook(lambda _, args: entering.append(args[0]))
        kept: list[torch.Tensor] = []
        live.train()
        with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
            loss = live(IDS, labels=IDS).loss
        matrices = {tuple(weight.shape) for weight in view.layers[0].mlp.parameters()}
        assert not [one for one in kept if tuple(one.shape) in matrices | {shape[::-1] for shape in matrices}]
        assert not entering[0].requires_grad, "what lies below the lowest tuned head has no backward pass"
        loss.backward()
        layer = live.get_base_model().model.layers[1].self_attn.o_proj
        assert bool(layer.lora_B["default"].weight.grad.any())


def test_a_model_on_disk_is_not_fine_tuned_in_full(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    source = tmp_path / "source"
    tiny("llama-gqa", vocab_size=len(tokenizer)).save_pretrained(source)
    tokenizer.save_pretrained(source)
    model = pinpoint.load(source, "float32", "cpu", device_map="disk").model
    with pytest.raises(
        InputError, match=r"it is on no single device: full fine-tuning changes every weight.*full: null"
    ):
        tune_full(model, tokenizer, ROWS, CONFIG, lambda _: {}, Workspace(tmp_path / "run"), seed=0)
    assert not (tmp_path / "run").exists()
