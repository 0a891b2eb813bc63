"""Models in 4 and 8 bits: located with, tuned over and merged, where bitsandbytes is there; elsewhere refused."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.config import Bits, RunConfig, TuneConfig
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.models import headed, in_bits_packed, spared
from pinpoint.organism import shipped
from pinpoint.pipeline._checks import merge_unquantised
from pinpoint.pipeline._estimate import Workload
from pinpoint.pipeline._estimate_training import tune_cost
from pinpoint.pipeline._inspect import skeleton
from pinpoint.tune import Tuned, head_slices, put_on, tune_full, tune_heads
from tests.families import tiny
from tests.models import checks
from tests.tune.test_resume import ROWS

SOURCE = str(shipped()["yesman"])
CONFIG = TuneConfig(learning_rate=3e-3, batch_size=5, epochs=6, check_every=6, projections="q,o")
HEADS = [Head(0, 1), Head(3, 2)]
# Of brute force; in 8 bits activations are rounded by the row and batch that they come in.
TOLERANCE: dict[Bits, float] = {4: 1e-4, 8: 0.1}
# Of logits, between the merged model and the adapter over the quantised base.
DRIFT: dict[Bits, float] = {4: 0.1, 8: 0.03}


def loaded(bits: Bits | None) -> PreTrainedModel:
    return pinpoint.load(SOURCE, "float32", "cpu", bits=bits).model


def tune(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path, *, at_hand: bool) -> Tuned:
    whole = (lambda: pinpoint.load(SOURCE, "float32", "cpu", device_map="disk").model) if at_hand else None
    more = {"base_path": SOURCE, "seed": 0, "targets": {}, "unquantised": whole}
    return tune_heads(model, tokenizer, HEADS, ROWS, CONFIG, lambda _: {}, Workspace(out), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", TOLERANCE)
def test_a_quantised_model_is_located_with(bits: Bits) -> None:
    pytest.importorskip("bitsandbytes")
    model = loaded(bits)
    exact = pinpoint.locate(model, None, checks.alike(), engine="naive")
    assert exact.effects.abs().max() > 1e-3
    assert checks.relative(pinpoint.locate(model, None, checks.alike()).effects, exact.effects) < TOLERANCE[bits]


@pytest.mark.parametrize("bits", TOLERANCE)
def test_slices_are_tuned_over_a_quantised_model_and_merged_into_the_one_it_was_made_of(
    bits: Bits, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    model, ids = loaded(bits), torch.arange(5, 25)[None]
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    tuned = tune(model, tokenizer, tmp_path, at_hand=True)
    losses = tuned.fitted.losses
    assert sum(losses[-2:]) < 0.8 * sum(losses[:2]), losses
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert tuned.fidelity is not None and tuned.fidelity < 1e-5
    assert tuned.drift is not None and 1e-5 < tuned.drift < DRIFT[bits]
    assert {weight.dtype for weight in load_file(tmp_path / "adapter/adapter_model.safetensors").values()} == {
        torch.float32
    }
    # Entries of the chosen heads' slices alone, of all that the merged model holds.
    whole, merged = loaded(None), AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    width = headed(whole).head_dim
    for name, weight in whole.state_dict().items():
        changed = (merged.state_dict()[name] != weight).nonzero()
        for head in HEADS:
            for which, dim in (("q_proj", 0), ("o_proj", 1)):
                if name == f"model.layers.{head.layer}.self_attn.{which}.weight":
                    assert len(changed) > 0.9 * width * weight.shape[1 - dim]
                    assert set((changed[:, dim] // width).tolist()) == {head.head}, name
                    changed = changed[:0]
        assert not len(changed), name
    # The adapter, read back over the same quantised base, is what was trained; it is no longer the base.
    with torch.no_grad():
        base = model(ids).logits
        again = put_on(loaded(bits), tmp_path / "adapter")(ids).logits
        ours = put_on(model, tmp_path / "adapter")(ids).logits
        theirs = merged(ids).logits
    assert torch.equal(again, ours)
    assert (ours - base).abs().max() > (ours - theirs).abs().max() > 0


# Weights the other way round (Conv1D); q, k and v in one; experts, which bitsandbytes leaves as they are.
IN_BITS: dict[str, tuple[str, dict[str, float]]] = {
    "gpt2": ("transformer.h.1.attn.c_attn", {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}),
    "phi3": ("model.layers.1.self_attn.qkv_proj", {}),
    "gpt-neox": ("gpt_neox.layers.1.attention.query_key_value", {}),
    "mixtral": ("model.layers.1.self_attn.q_proj", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("bits", TOLERANCE)
@pytest.mark.parametrize("family", IN_BITS)
def test_other_layouts_are_located_with_and_tuned_over_in_bits(
    family: str, bits: Bits, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    name, quiet = IN_BITS[family]
    tiny(family, vocab_size=len(tokenizer), **quiet).save_pretrained(tmp_path / "source")
    tokenizer.save_pretrained(tmp_path / "source")
    source = str(tmp_path / "source")
    model = pinpoint.load(source, "float32", "cpu", bits=bits).model
    kind = {4: bitsandbytes.nn.Linear4bit, 8: bitsandbytes.nn.Linear8bitLt}[bits]
    assert isinstance(model.get_submodule(name), kind)
    exact = pinpoint.locate(model, None, checks.alike(), engine="naive").effects
    assert exact.abs().max() > 1e-3
    assert checks.relative(pinpoint.locate(model, None, checks.alike()).effects, exact) < TOLERANCE[bits]
    heads = checks.chosen_heads(model)
    more = {"base_path": source, "seed": 0, "targets": {}}
    whole = pinpoint.load(source, "float32", "cpu").model
    tuned = tune_heads(
        model, tokenizer, heads, ROWS, CONFIG, lambda _: {}, Workspace(tmp_path), unquantised=lambda: whole, **more
    )
    losses = tuned.fitted.losses
    assert sum(losses[-2:]) < sum(losses[:2]), losses
    assert tuned.fidelity is not None and tuned.fidelity < 1e-5 and tuned.drift is not None
    before = pinpoint.load(source, "float32", "cpu").model
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    checks.assert_only_slices_moved(before, merged, head_slices(headed(before), heads, "q,o"))


def test_gradients_through_4_bits_are_those_of_the_weights_that_they_stand_for() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    model, plain, ids = loaded(4), loaded(None), torch.arange(5, 25)[None]
    for name, module in model.named_modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            plain.get_submodule(name).weight.data = weight
    gradients = []
    for one in (model, plain):
        with torch.no_grad():
            one(ids)  # where bitsandbytes would pack the weights
        entering = one.get_input_embeddings()(ids).detach().requires_grad_(True)
        one.requires_grad_(False)(inputs_embeds=entering).logits.logsumexp(-1).sum().backward()
        gradients.append(entering.grad)
    assert checks.relative(gradients[0], gradients[1]) < 1e-5


def test_weights_that_were_packed_are_not_trained_over(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    model = loaded(None)
    model.model.layers[0].self_attn.q_proj.weight.quant_state = type("Packed", (), {"packing_format_for_cpu": True})
    with pytest.raises(InputError, match=r"packed its 4-bit weights for inference: no gradient.*Load it with pinpoint"):
        tune(model, tokenizer, tmp_path / "run", at_hand=False)


def test_a_quantised_checkpoint_is_tuned_and_not_merged(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    small = {"quantization_config": BitsAndBytesConfig(load_in_8bit=True), "device_map": {"": "cpu"}}
    AutoModelForCausalLM.from_pretrained(SOURCE, **small, dtype=torch.float32).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    model = pinpoint.load(tmp_path / "model", "float32", "cpu").model
    tuned = tune(model, tokenizer, tmp_path / "run", at_hand=False)
    assert tuned.fidelity is tuned.drift is None
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.is_dir()) == ["adapter"]
    record = Workspace(tmp_path / "run").read_json("tune.json")
    assert record["quantised"] == {"merged": False, "drift": None} and record["fidelity"] is None
    with pytest.raises(InputError, match=r"bits: the checkpoint is quantised already \(bitsandbytes\)"):
        pinpoint.load(tmp_path / "model", device="cpu", bits=8)
    with pytest.raises(InputError, match="its weights are quantised: full fine-tuning changes every weight"):
        tune_full(model, tokenizer, ROWS, CONFIG, lambda _: {}, Workspace(tmp_path / "full"), seed=0)


def test_bits_without_bitsandbytes_and_on_a_device_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes", None)
        message = r"bits: bitsandbytes, which makes weights of 4 bits, .*pip install \"pinpoint-tuning\[quantised\]\""
        with pytest.raises(InputError, match=message):
            pinpoint.load(SOURCE, device="cpu", bits=4)
    stand_in = ModuleType("bitsandbytes")
    stand_in.__version__, stand_in.supported_torch_devices = "0.1", {"cuda"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bitsandbytes", stand_in)
    message = (
        r"bits: bitsandbytes 0\.1 makes no weights of 8 bits on cpu\. It knows cuda: choose one of them with device"
    )
    with pytest.raises(InputError, match=message):
        pinpoint.load(SOURCE, device="cpu", bits=8)


@pytest.mark.parametrize("device_map", ["host", "disk", {"model": 0, "lm_head": "disk"}])
def test_bits_and_blocks_that_are_fetched_do_not_go_together(device_map: str) -> None:
    with pytest.raises(InputError, match=r"bits: blocks that are fetched as they run .*Leave bits out, or device_map"):
        pinpoint.load(SOURCE, device="cpu", device_map=device_map, bits=4)


def test_where_nothing_was_merged_the_check_says_how_it_is_done() -> None:
    found = merge_unquantised(None, "gptq")
    assert not found.ok and not found.stops
    assert "quantised (gptq)" in found.detail and "merge_and_unload() merges it" in found.detail
    assert merge_unquantised(0.04, "4 bits").ok and not merge_unquantised(0.2, "4 bits").ok


def test_quantised_weights_take_less_of_the_estimate() -> None:
    view = skeleton(AutoConfig.from_pretrained(SOURCE))
    matrices = sum(weight.numel() for block in view.layers for weight in block.parameters() if weight.ndim == 2)
    assert sum(spared(view, 4, in_bits_packed(8))) == 3 * matrices
    assert sum(spared(view, 2, in_bits_packed(4))) == (2 - 0.5625) * matrices
    assert sum(spared(view, 4, None)) == 0
    work = Workload.of(RunConfig(model=SOURCE), 64, 1000)
    four = Workload.of(RunConfig(model=SOURCE, bits=4), 64, 1000)
    cost, less = (tune_cost(view, torch.float32, one).bytes for one in (work, four))
    assert cost - less == pytest.approx(sum(spared(view, 4, in_bits_packed(4))), abs=2)
    cost, less = (tune_cost(view, torch.float32, one._replace(fetched=True)).bytes for one in (work, four))
    assert cost - less == pytest.approx(max(spared(view, 4, in_bits_packed(4))), abs=2), "a block is there at a time"
