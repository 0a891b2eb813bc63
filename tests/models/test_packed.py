"""Checkpoints that are quantised already: what they take, and what becomes of them where their kernels are not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerBase

import pinpoint
from pinpoint.config import settings_of
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.models import Packed, headed, packed
from pinpoint.pipeline import _inspect as inspect_module
from pinpoint.pipeline import compare_on_one_pair, inspect_model
from pinpoint.tune import head_slices, save_model
from pinpoint.tune._adapter import adapted, merged
from tests.models import checks

BLOCK = 32  # of weights that share a scale
TINY = LlamaConfig(
    vocab_size=3072,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    initializer_range=0.3,
    dtype="bfloat16",
)
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]}
LLAMA_70B = {
    "model_type": "llama",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 32000,
    "dtype": "float16",
}
DEEPSEEK_V3 = {
    "model_type": "deepseek_v3",
    "vocab_size": 129280,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "n_shared_experts": 1,
    "n_routed_experts": 256,
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
}


def folder(path: Path, config: dict[str, Any]) -> str:
    AutoConfig.for_model(**config).save_pretrained(str(path))
    return str(path)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    """A checkpoint in FP8, a scale for each block of weights, and the one in bfloat16 that it stands for."""
    torch.manual_seed(0)
    eight, plain = (tmp_path_factory.mktemp(name) for name in ("fp8", "plain"))
    model = AutoModelForCausalLM.from_config(TINY)
    kept, meant = {}, {}
    for name, weight in model.state_dict().items():
        if "proj" not in name:
            kept[name] = meant[name] = weight.clone()
            continue
        rows, columns = weight.shape
        blocks = weight.float().view(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
        scale = blocks.abs().amax(dim=(1, 3)) / 448
        kept[name] = (blocks / scale[:, None, :, None]).view(rows, columns).to(torch.float8_e4m3fn)
        kept[f"{name}_scale_inv"] = scale
        exact = kept[name].float().view(blocks.shape) * scale[:, None, :, None]
        meant[name] = exact.view(rows, columns).bfloat16()
    for path, weights in ((eight, kept), (plain, meant)):
        TINY.save_pretrained(path)
        tokenizer.save_pretrained(path)
        save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((eight / "config.json").read_text())
    (eight / "config.json").write_text(json.dumps(config | {"quantization_config": FP8}))
    return str(eight), str(plain)


@pytest.mark.parametrize("device_map", [None, "host", "disk"])
def test_fp8_is_unpacked_where_there_is_no_gpu(checkpoints: tuple[str, str], device_map: str | None) -> None:
    eight, plain = (pinpoint.load(path, device="cpu", device_map=device_map).model for path in checkpoints)
    found, expected = (pinpoint.locate(model, None, checks.alike()).effects for model in (eight, plain))
    assert expected.abs().max() > 1e-2 and torch.equal(found, expected)
    assert {weight.dtype for weight in eight.parameters()} == {torch.bfloat16}


def test_fp8_unpacks_to_the_dtype_that_is_asked_for_and_is_exact_in_it(checkpoints: tuple[str, str]) -> None:
    model = pinpoint.load(checkpoints[0], "float32", "cpu").model
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    found, exact = (
        pinpoint.locate(model, None, checks.alike(), engine=engine).effects for engine in ("sweep", "naive")
    )
    assert checks.relative(found, exact) < 1e-4
    verified = compare_on_one_pair(checkpoints[0], settings_of(checkpoints[0], None, {"device": "cpu"}))
    assert verified.dtype == "float32" and verified.difference < verified.limit
    message = r"dtype: its weights are quantised \(fp8\), and unpacked .* 'disk' does not take them to float32\."
    with pytest.raises(InputError, match=message):
        pinpoint.load(checkpoints[0], "float32", "cpu", device_map="disk")


def test_a_narrower_dtype_is_for_weights_and_leaves_rotary_frequencies_alone(checkpoints: tuple[str, str]) -> None:
    own, asked = (pinpoint.load(checkpoints[0], dtype, "cpu").model for dtype in ("auto", "float16"))
    assert {weight.dtype for weight in asked.parameters()} == {torch.float16}
    frequencies = {name: x for name, x in own.named_buffers() if x.is_floating_point()}
    assert frequencies
    for name, x in asked.named_buffers():
        assert name not in frequencies or torch.equal(x, frequencies[name])


@pytest.mark.parametrize("device_map", [None, "disk"])
def test_heads_of_a_checkpoint_in_fp8_are_tuned_and_merged_into_what_it_unpacks_to(
    checkpoints: tuple[str, str], device_map: str | None, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    eight, plain = (pinpoint.load(path, device="cpu", device_map=device_map).model for path in checkpoints)
    for model, name in ((eight, "eight"), (plain, "plain")):
        with adapted(headed(model), head_slices(headed(model), [Head(1, 2)], "q,o")) as live:
            with torch.no_grad():
                for weight in live.parameters():
                    if weight.requires_grad:
                        weight.fill_(0.25)
            with merged(live) as whole:
                save_model(whole, tokenizer, tmp_path / name)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("eight", "plain"))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    before = load_file(f"{checkpoints[1]}/model.safetensors")
    changed = {name for name in ours if not torch.equal(ours[name], before[name])}
    assert changed == {f"model.layers.1.self_attn.{which}_proj.weight" for which in ("q", "o")}
    assert "quantization_config" not in json.loads((tmp_path / "eight/config.json").read_text())


def test_what_a_checkpoint_in_fp8_takes_is_what_its_file_holds(checkpoints: tuple[str, str]) -> None:
    found, plain = (inspect_model(path, settings_of(path, None, {"device": "cpu"})) for path in checkpoints)
    held = load_file(f"{checkpoints[0]}/model.safetensors")
    assert found.weight_bytes == sum(tensor.nbytes for tensor in held.values())
    assert (found.parameters, found.dtype, found.quantised) == (plain.parameters, "bfloat16", "fp8")
    assert "on cpu its fp8 weights are unpacked as they are loaded." in found.notes
    assert [one.bytes for one in found.estimates] == [one.bytes for one in plain.estimates]
    with pytest.raises(InputError, match=r"bits: the checkpoint is quantised already \(fp8\)"):
        inspect_model(checkpoints[0], settings_of(checkpoints[0], None, {"device": "cpu", "bits": 4}))


# GB of TheBloke/Llama-2-70B-Chat-GPTQ, as its card gives them.
@pytest.mark.parametrize(("group", "size"), [(-1, 35.33), (128, 36.65), (32, 40.66)])
def test_a_published_gptq_checkpoint_takes_what_its_card_says(group: int, size: float, tmp_path: Path) -> None:
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": group}
    found = inspect_model(folder(tmp_path, LLAMA_70B | {"quantization_config": gptq}))
    assert found.parameters == 68_976_648_192
    assert found.weight_bytes / 1e9 == pytest.approx(size, rel=5e-3)
    assert all(found.weight_bytes < one.bytes for one in found.estimates)
    assert min(one.bytes for one in found.estimates) < found.parameters, "less than a byte a weight, all in all"


def test_deepseek_v3_is_counted_without_weights_in_the_eight_bits_that_it_is_kept_in(tmp_path: Path) -> None:
    found = inspect_model(folder(tmp_path, DEEPSEEK_V3))
    assert round(found.parameters / 1e9) == 671
    embeddings = 2 * 129280 * 7168
    assert found.weight_bytes == pytest.approx(found.parameters + embeddings, rel=2e-3)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 1.0),
        ({"load_in_4bit": True, "bnb_4bit_use_double_quant": False}, 0.5 + 4 / 64),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
            0.5 + 1.015625 / 64,
        ),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 0.5 + 2.5 / 128),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, 1 + 3 / 128),
        ({"quant_method": "mxfp4"}, 4.25 / 8),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}},
            },
            0.5 + 2 / 128,
        ),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, None),
        ({"quant_method": "aqlm"}, None),
    ],
)
def test_a_weight_takes_its_bits_and_its_share_of_the_scales(settings: dict[str, Any], size: float | None) -> None:
    found = packed(LlamaConfig(quantization_config=settings))
    assert found is not None and found.size == (None if size is None else pytest.approx(size))
    assert packed(LlamaConfig()) is None


def test_modules_that_are_left_as_they_are_take_what_they_took(tmp_path: Path) -> None:
    def taken(**settings: Any) -> int:
        asked = {"quant_method": "bitsandbytes", "load_in_8bit": True, **settings}
        config = {"model_type": "llama", **TINY.to_diff_dict(), "quantization_config": asked}
        return inspect_model(folder(tmp_path, config)).weight_bytes

    down = TINY.num_hidden_layers * TINY.hidden_size * TINY.intermediate_size
    assert taken(llm_int8_skip_modules=["lm_head", "mlp.down_proj"]) - taken() == down
    assert taken(llm_int8_skip_modules=["model.layers.1"]) - taken() > down / TINY.num_hidden_layers


def test_what_cannot_be_loaded_or_counted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(method: str) -> str:
        config = {"model_type": "llama", "num_hidden_layers": 1, "quantization_config": {"quant_method": method}}
        return " ".join(inspect_model(folder(tmp_path, config)).notes)

    monkeypatch.setattr(
        inspect_module, "missing_libraries", lambda found: ["optimum"] if found.method == "gptq" else []
    )
    assert "quantised (gptq) and cannot be loaded here: optimum cannot be imported. Install" in notes("gptq")
    assert "quantised (aqlm), but how many bits they take is not known" in notes("aqlm")
    assert "cannot be loaded" not in notes("aqlm")


def test_experts_of_gpt_oss_are_packed_alone() -> None:
    found = packed(LlamaConfig(quantization_config={"quant_method": "mxfp4"}))
    assert found == Packed("mxfp4", 0.5 + 1 / 32, matrices=False, experts=True)
    experts = torch.nn.Module()
    assert found.holds("model.layers.0.mlp.experts", experts, torch.empty(4, 8, 8))
    assert not found.holds("model.layers.0.self_attn.q_proj", torch.nn.Linear(8, 8), torch.empty(8, 8))
