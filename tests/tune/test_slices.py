"""Head slices as LoRA: what trains, what stays, what merges, who can load it."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from pinpoint.errors import ConfigError, InputError
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.tune import attach, default_projections, freeze_selectors, head_slices, resume_adapter
from tests.families import PLAIN, tiny

HEADS = [Head(1, 4), Head(1, 0), Head(2, 3)]
IDS = torch.randint(1, 97, (4, 9), generator=torch.Generator().manual_seed(0))


def train(model: PeftModel, steps: int = 5) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05, weight_decay=0.0)
    for _ in range(steps):
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def selected(model: PreTrainedModel, name: str, heads: list[Head], projections: str) -> torch.Tensor:
    """Mask of the entries of a weight that belong to chosen heads, worked out from names and config alone."""
    config = model.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    group = config.num_attention_heads // config.num_key_value_heads
    mask = torch.zeros_like(model.state_dict()[name], dtype=torch.bool)
    for layer, head in heads:
        for which in projections.split(","):
            if name != f"model.layers.{layer}.self_attn.{which}_proj.weight":
                continue
            unit = head // group if which in "kv" else head
            span = slice(unit * width, (unit + 1) * width)
            mask[(slice(None), span) if which == "o" else span] = True
    return mask


@pytest.mark.parametrize("projections", ["q,o", "q,k,v,o"])
@pytest.mark.parametrize("family", PLAIN)
def test_only_the_selected_slices_change_and_the_merge_equals_the_adapter(family: str, projections: str) -> None:
    base = tiny(family)
    view = headed(copy.deepcopy(base))
    live = attach(view, head_slices(view, HEADS, projections))
    assert torch.equal(live(IDS).logits, base(IDS).logits), "an untrained adapter changes nothing"
    selectors = [weight.clone() for weight in freeze_selectors(live)]
    train(live)
    assert all(torch.equal(a, b) for a, b in zip(selectors, freeze_selectors(live), strict=True))
    adapted = live(IDS).logits
    assert (adapted - base(IDS).logits).abs().max() > 1e-2, "training must have done something"

    merged = live.merge_and_unload(safe_merge=True)
    assert (merged(IDS).logits - adapted).abs().max() / adapted.abs().max() < 1e-5
    after = merged.state_dict()
    for name, before in base.state_dict().items():
        mask = selected(base, name, HEADS, projections)
        assert after[name].dtype == before.dtype
        assert torch.equal(after[name][~mask], before[~mask]), name
        if mask.any():
            assert (after[name][mask] != before[mask]).float().mean() > 0.9, name


def test_the_adapter_is_an_ordinary_lora_of_the_slices_own_ranks_and_scaling_one() -> None:
    view = headed(tiny("llama-gqa"))
    slices = head_slices(view, HEADS, "q,k,o")
    config = attach(view, slices, ["model.layers.0.mlp"]).peft_config["default"]
    ranks = {piece.module: len(piece.indices) for piece in slices}
    # Heads 0 and 4 of layer 1 lie in both groups of keys; head 3 of layer 2 in one.
    expected = {f"1.self_attn.{which}_proj": 16 for which in "qko"} | {
        f"2.self_attn.{which}_proj": 8 for which in "qko"
    }
    assert ranks == {f"model.layers.{name}": rank for name, rank in expected.items()}
    assert config.r == config.lora_alpha == 16
    assert config.rank_pattern == config.alpha_pattern == ranks
    assert set(config.target_modules) == set(ranks) and config.modules_to_save == ["model.layers.0.mlp"]
    assert (config.task_type, config.bias, config.lora_dropout) == ("CAUSAL_LM", "none", 0.0)
    assert attach(headed(tiny("llama-gqa")), slices).peft_config["default"].modules_to_save is None


def test_slices_are_sorted_rows_of_projections_and_columns_of_the_out_projection() -> None:
    view = headed(tiny("llama-gqa"))
    rows = lambda *units: tuple(i for unit in units for i in range(8 * unit, 8 * unit + 8))  # noqa: E731
    found = {(piece.module, piece.axis): piece.indices for piece in head_slices(view, HEADS, "q,v,o")}
    assert found == {
        ("model.layers.1.self_attn.q_proj", 0): rows(0, 4),
        ("model.layers.1.self_attn.v_proj", 0): rows(0, 1),
        ("model.layers.1.self_attn.o_proj", 1): rows(0, 4),
        ("model.layers.2.self_attn.q_proj", 0): rows(3),
        ("model.layers.2.self_attn.v_proj", 0): rows(1),
        ("model.layers.2.self_attn.o_proj", 1): rows(3),
    }


def test_one_factor_is_one_hot_and_frozen_and_the_other_starts_at_zero_and_trains() -> None:
    view = headed(tiny("llama-gqa"))
    slices = head_slices(view, HEADS, "q,o")
    live = attach(view, slices)
    selectors = freeze_selectors(live)
    assert len(selectors) == len(slices)
    for piece in slices:
        layer = live.get_submodule(f"base_model.model.{piece.module}")
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        selector, delta = (b, a) if piece.axis == 0 else (a.T, b)
        assert torch.equal(selector.nonzero(), torch.tensor([[i, r] for r, i in enumerate(piece.indices)]))
        assert torch.equal(selector.sum(dim=0), torch.ones(len(piece.indices)))
        assert not bool(delta.any())
        frozen, free = (b, a) if piece.axis == 0 else (a, b)
        assert not frozen.requires_grad and free.requires_grad
        assert any(frozen is one for one in selectors)
        assert layer.frozen_peft_weight_names == {"default": ("lora_B" if piece.axis == 0 else "lora_A",)}


def test_trainable_parameters_are_those_of_the_slices() -> None:
    view = headed(tiny("llama-gqa"))
    live = attach(view, head_slices(view, HEADS, "q,o"))
    trainable = sum(p.numel() for p in live.parameters() if p.requires_grad)
    assert trainable == len(HEADS) * 2 * view.head_dim * 48


def test_gradients_equal_those_of_the_slices_themselves() -> None:
    base = tiny("llama-gqa")
    base(input_ids=IDS, labels=IDS).loss.backward()
    view = headed(tiny("llama-gqa"))
    live = attach(view, head_slices(view, HEADS, "q,o"))
    live(input_ids=IDS, labels=IDS).loss.backward()
    attention = live.get_base_model().model.layers[2].self_attn
    rows = slice(3 * 8, 4 * 8)
    full = base.model.layers[2].self_attn
    assert torch.allclose(attention.q_proj.lora_A["default"].weight.grad, full.q_proj.weight.grad[rows], atol=1e-6)
    assert torch.allclose(attention.o_proj.lora_B["default"].weight.grad, full.o_proj.weight.grad[:, rows], atol=1e-6)


@pytest.mark.parametrize("projections", ["q,o", "q,k,v,o"])
def test_a_slice_costs_the_product_with_its_own_weights_alone(projections: str) -> None:
    base = tiny("llama-gqa")
    view = headed(copy.deepcopy(base))
    slices = head_slices(view, HEADS, projections)
    counted = []
    for model in (base, attach(view, slices)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(IDS)
        counted.append(counter.get_total_flops())
    across = {piece.module: headed(base).config.hidden_size for piece in slices}
    assert counted[1] - counted[0] == sum(2 * IDS.numel() * len(s.indices) * across[s.module] for s in slices)


def test_a_selector_gives_what_its_matrix_gives() -> None:
    live = attach(headed(view := tiny("llama-gqa")), head_slices(headed(view), HEADS, "q,k,v,o"))
    for layer in (layer for layer in live.modules() if isinstance(layer, LoraLayer)):
        name = layer.frozen_peft_weight_names["default"][0]
        selector = getattr(layer, name)["default"]
        for grad in (False, True):
            x = torch.randn(2, 3, selector.in_features, requires_grad=grad)
            y = x.detach().clone().requires_grad_(grad)
            assert torch.equal(selector(x), torch.nn.functional.linear(y, selector.weight))
        weigh = torch.randn(selector.out_features)
        (selector(x) * weigh).sum().backward()
        (torch.nn.functional.linear(y, selector.weight) * weigh).sum().backward()
        assert torch.equal(x.grad, y.grad)


def test_a_reload_gives_the_same_model_and_freezes_the_selectors_again(tmp_path: Path) -> None:
    view = headed(tiny("llama-gqa"))
    live = attach(view, head_slices(view, HEADS, "q,o"))
    train(live)
    live.save_pretrained(str(tmp_path))
    again = resume_adapter(headed(tiny("llama-gqa")), str(tmp_path))
    assert torch.equal(again(IDS).logits, live(IDS).logits)
    selectors = [weight.clone() for weight in freeze_selectors(again)]
    assert not any(weight.requires_grad for weight in freeze_selectors(again))
    before = again(IDS).logits
    train(again)
    assert not torch.equal(again(IDS).logits, before)
    assert all(torch.equal(a, b) for a, b in zip(selectors, freeze_selectors(again), strict=True))


def test_a_module_that_trains_as_a_whole_does_so_after_a_reload(tmp_path: Path) -> None:
    view = headed(tiny("llama-gqa"))
    live = attach(view, head_slices(view, HEADS, "q,o"), ["model.layers.0.mlp"])
    live.save_pretrained(str(tmp_path))
    again = resume_adapter(headed(tiny("llama-gqa")), str(tmp_path))
    trained = {name for name, weight in live.named_parameters() if weight.requires_grad}
    assert {name for name, weight in again.named_parameters() if weight.requires_grad} == trained
    assert sum(".mlp." in name for name in trained) == 3 and not again.peft_config["default"].inference_mode


def test_the_adapter_loads_without_pinpoint(tmp_path: Path) -> None:
    base = tiny("llama-gqa")
    base.save_pretrained(str(tmp_path / "base"))
    view = headed(copy.deepcopy(base))
    live = attach(view, head_slices(view, HEADS, "q,o"))
    train(live)
    live.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    live.save_pretrained(str(tmp_path / "adapter"))
    torch.save({"ids": IDS, "logits": live(IDS).logits.detach()}, tmp_path / "expected.pt")
    script = f"""
import sys, torch
sys.modules["pinpoint"] = None
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM
expected = torch.load({str(tmp_path / "expected.pt")!r}, weights_only=True)
for loader in (AutoPeftModelForCausalLM, AutoModelForCausalLM):
    model = loader.from_pretrained({str(tmp_path / "adapter")!r}, dtype=torch.float32).eval()
    difference = (model(expected["ids"]).logits - expected["logits"]).abs().max().item()
    assert difference < 1e-5, (loader, difference)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_foreign_adapters_and_bad_heads_are_refused() -> None:
    view = headed(tiny("llama-gqa"))
    with pytest.raises(ConfigError, match=r"^tune\.heads: there are no heads to tune\. Choose at least one\.$"):
        head_slices(view, [], "q,o")
    with pytest.raises(InputError, match="L1.H6 is not a head of this model"):
        head_slices(view, [Head(1, 6)], "q,o")
    live = attach(view, head_slices(view, HEADS, "q,o"))
    weight = live.get_base_model().model.layers[1].self_attn.q_proj.lora_B["default"].weight
    weight.data.normal_()
    where, mend = (
        r"^base_model\.model\.model\.layers\.1\.self_attn\.q_proj: ",
        "Continue training only with an adapter that",
    )
    with pytest.raises(ConfigError, match=where + r"the adapter has no one-hot factor here, .* " + mend):
        freeze_selectors(live)


def test_key_and_value_slices_are_the_default_only_without_sharing() -> None:
    assert default_projections(headed(tiny("llama-mha"))) == "q,k,v,o"
    assert default_projections(headed(tiny("llama-gqa"))) == "q,o"
