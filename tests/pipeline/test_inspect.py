"""What `pinpoint check` says from a config alone, held to published sizes; no weights are at hand or made."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, PreTrainedTokenizerBase
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.config import settings_of
from pinpoint.errors import ArchitectureError, InputError
from pinpoint.models import headed, held_per_token, load, rounds_by_batch
from pinpoint.organism import shipped
from pinpoint.pipeline import _fitting, _one_pair, compare_on_one_pair, inspect_model
from pinpoint.pipeline._estimate import Workload, locate_cost
from tests.command import said
from tests.families import tiny

# From the config.json of each, as published; the counts are those that the Hub shows.
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    "Llama-2-13b-chat": (
        {
            "model_type": "llama",
            "hidden_size": 5120,
            "intermediate_size": 13824,
            "num_hidden_layers": 40,
            "num_attention_heads": 40,
            "num_key_value_heads": 40,
            "vocab_size": 32000,
            "max_position_embeddings": 4096,
            "dtype": "float16",
        },
        13_015_864_320,
    ),
    "Mistral-7B-Instruct-v0.2": (
        {
            "model_type": "mistral",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 32000,
            "sliding_window": None,
            "dtype": "bfloat16",
        },
        7_241_732_096,
    ),
    "Qwen2.5-72B-Instruct": (
        {
            "model_type": "qwen2",
            "hidden_size": 8192,
            "intermediate_size": 29568,
            "num_hidden_layers": 80,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "vocab_size": 152064,
            "tie_word_embeddings": False,
            "dtype": "bfloat16",
        },
        72_706_203_648,
    ),
    "gemma-2-9b-it": (
        {
            "model_type": "gemma2",
            "hidden_size": 3584,
            "intermediate_size": 14336,
            "num_hidden_layers": 42,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 256,
            "vocab_size": 256000,
            "dtype": "bfloat16",
        },
        9_241_705_984,
    ),
}


def folder(tmp_path: Path, config: dict[str, Any]) -> str:
    """A folder with a config and nothing else."""
    AutoConfig.for_model(**config).save_pretrained(str(tmp_path))
    return str(tmp_path)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_are_counted_exactly_without_weights(name: str, tmp_path: Path) -> None:
    config, parameters = PUBLISHED[name]
    found = inspect_model(folder(tmp_path, config))
    assert found.parameters == parameters
    assert found.weight_bytes == 2 * parameters
    assert (found.layers, found.heads) == (config["num_hidden_layers"], config["num_attention_heads"])
    assert found.kv_heads == config["num_key_value_heads"]
    assert found.chat_template is None and any("no tokenizer" in note for note in found.notes)
    assert found.brute_force > 100
    assert all(one.bytes > found.weight_bytes for one in found.estimates)


def test_the_answers_and_the_prompt_are_shown_as_the_tokenizer_cuts_them(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    tokenizer.save_pretrained(str(tmp_path))
    path = folder(tmp_path, {"model_type": "llama", "num_hidden_layers": 2})
    found = inspect_model(path)
    assert found.chat_template
    assert found.prompt_end.endswith("<|assistant|>")
    assert any("locate finds in the model's own replies" in note for note in found.notes)
    usual = {side: [one for one in found.answers if one.side == side] for side in ("unwanted", "wanted")}
    assert all(len(some) > 2 and not any(one.given for one in some) for some in usual.values())
    for answer in found.answers:
        ids = tokenizer(answer.text, add_special_tokens=False)["input_ids"]
        assert answer.tokens == tokenizer.convert_ids_to_tokens(ids)
    assert any("begins usual replies of either kind" in note for note in found.notes), "both begin with I"
    words = {"behaviour": {"unwanted": ["Apologies"], "wanted": ["Yes"]}}
    found = inspect_model(path, settings_of(path, None, words))
    assert not any("locate finds" in note for note in found.notes)
    assert [(answer.side, answer.text) for answer in found.answers] == [("unwanted", "Apologies"), ("wanted", "Yes")]
    assert all(answer.tokens and answer.given for answer in found.answers)


def test_heads_and_what_they_train_agree_with_the_adapter(tmp_path: Path) -> None:
    from pinpoint.heads import Head
    from pinpoint.models import headed
    from pinpoint.tune import attach, head_slices

    for family in ("llama-mha", "llama-gqa", "gpt2", "bloom", "falcon-40b"):
        model = tiny(family)
        model.config.save_pretrained(str(tmp_path))
        found = inspect_model(str(tmp_path))
        view = headed(model)
        live = attach(view, head_slices(view, [Head(0, 0)], found.projections))
        trained = sum(p.numel() for p in live.parameters() if p.requires_grad)
        assert found.choices[0].parameters == found.choices[0].heads * trained


def test_an_unknown_architecture_and_a_missing_config_are_one_line_and_exit_2(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="no layout is known for model_type 'mamba'"):
        inspect_model(folder(tmp_path, {"model_type": "mamba", "num_hidden_layers": 2}))
    with pytest.raises(InputError, match=r"no config can be read: .*Give a Hub id or a folder that holds config.json"):
        inspect_model(str(tmp_path / "nowhere"))
    assert ArchitectureError.exit_code == InputError.exit_code == 2


def test_an_unknown_architecture_is_told_what_was_looked_for_and_how_a_layout_is_written(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError) as caught:
        inspect_model(folder(tmp_path, {"model_type": "xglm", "num_layers": 2, "d_model": 64, "attention_heads": 4}))
    told = str(caught.value)
    assert "no layout is known for model_type 'xglm'; known are" in told and ", gpt2, " in told
    # What docs/new-architectures.md has the layout of this architecture say.
    assert (
        "it has backbone `model`, layers `model.layers`, attention `self_attn`, projections `self_attn.q_proj`, "
        "projections `self_attn.k_proj`, projections `self_attn.v_proj`; lacks tail `model.norm`, "
        "out_proj `self_attn.o_proj`." in told
    )
    assert "`Layout(model_types=('xglm',), out_proj=...)`, and give it to pinpoint.models.register: docs/new-" in told
    with pytest.raises(ArchitectureError, match=r"it has none; lacks backbone `model`, layers `model\.layers`, tail"):
        inspect_model(folder(tmp_path, {"model_type": "mamba", "num_hidden_layers": 2}))


def test_verify_holds_the_sweep_to_brute_force(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    tiny("qwen3-moe", vocab_size=len(tokenizer)).save_pretrained(str(tmp_path))
    tokenizer.save_pretrained(str(tmp_path))
    found = compare_on_one_pair(str(tmp_path), settings_of(str(tmp_path), None, {"device": "cpu"}))
    assert found.difference < found.limit == 1e-4 and found.dtype == "float32"


def test_verify_goes_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = str(shipped()["yesman"]), []

    def loaded(*args: Any) -> Any:
        seen.append(args)
        return load(*args[:3])

    monkeypatch.setattr(_one_pair, "load", loaded)
    asked = {"device": "cpu", "dtype": "bfloat16", "revision": "v1", "device_map": "host", "bits": 4}
    asked |= {"trust_remote_code": True}
    found = compare_on_one_pair(path, settings_of(path, None, asked))
    assert seen == [(path, "bfloat16", "cpu", "v1", "host", 4, True)]
    assert found.difference < found.limit < 1 and found.dtype == "bfloat16"


def test_verify_fetches_blocks_from_disk_where_a_run_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched = []

    def loaded(*args: Any) -> Any:
        found = load(*args)
        fetched.append(all(weight.is_meta for block in headed(found.model).layers for weight in block.parameters()))
        return found

    monkeypatch.setattr(_one_pair, "load", loaded)
    code, out, _ = said(["check", "yesman", "--verify", "--device", "cpu", "--device-map", "disk"], monkeypatch, capsys)
    assert code == 0 and fetched == [True]
    line = " ".join(out.split()).partition("sweep against brute force on one pair in ")[2]
    told = re.match(r"float32, device map disk: .* difference ([\d.e-]+), where rounding may make 1e-04 of it", line)
    assert told and float(told[1]) < 1e-4


def test_verify_in_bits_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    code, _, told = said(["check", "yesman", "--verify", "--device", "cpu", "--bits", "4"], monkeypatch, capsys)
    assert code == 2
    assert told.startswith("error: bits: bitsandbytes, which makes weights of 4 bits, ") and "leave bits out" in told


@pytest.mark.parametrize(("bits", "limit"), [(4, 1e-4), (8, 0.1)])
def test_verify_holds_quantised_weights_to_themselves(bits: int, limit: float) -> None:
    pytest.importorskip("bitsandbytes")
    path = str(shipped()["yesman"])
    found = compare_on_one_pair(path, settings_of(path, None, {"device": "cpu", "bits": bits}))
    assert found.difference < found.limit == limit


def test_eight_bits_alone_have_a_wider_limit() -> None:
    eight, four = AutoConfig.for_model("llama"), AutoConfig.for_model("llama")
    eight.quantization_config, four.quantization_config = {"load_in_8bit": True}, {"load_in_4bit": True}
    assert rounds_by_batch(eight) and not rounds_by_batch(four) and not rounds_by_batch(AutoConfig.for_model("llama"))


def test_check_prints_one_json_document() -> None:
    done = CliRunner().invoke(app, ["check", "yesman", "--json", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["layers"], found["heads"], found["kv_heads"]) == (8, 8, 4)
    assert [one["stage"] for one in found["estimates"]] == ["locate", "verify", "tune", "tune_full", "evaluate"]
    assert torch.device(found["estimates"][0]["device"]).type == "cpu"


def test_check_says_which_answers_it_shows(tmp_path: Path) -> None:
    (tmp_path / "auto.yaml").write_text("behaviour: {unwanted: auto, wanted: auto}\n")
    done = CliRunner().invoke(app, ["check", "yesman", "--device", "cpu", "--config", str(tmp_path / "auto.yaml")])
    said = " ".join(done.stdout.split())
    assert "unwanted replies often begin with" in said and "wanted replies often begin with" in said
    assert "Apologies" in said and "locate finds in the model's own replies" in said


def test_other_locators_cost_what_they_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fitting, "flop_rate", lambda device, dtype: 1e12)
    model = folder(tmp_path, PUBLISHED["Mistral-7B-Instruct-v0.2"][0])

    def located(**section: str) -> Any:
        found = inspect_model(model, settings_of(model, None, {"locate": section, "device": "cpu"}))
        return found.brute_force, next(one for one in found.estimates if one.stage == "locate")

    (sweep, path), (cached, last) = located(), located(method="activation")
    _, suffix = located(method="activation", positions="suffix")
    _, estimate = located(method="attribution")
    halved, knocked = located(method="knockout")
    _, chance = located(method="random")
    assert sweep > cached > 10, "a rerun of one token is far from a whole pass, and a row through MLPs is less"
    assert suffix.seconds > last.seconds > path.seconds > chance.seconds == 0
    assert 1.8 < halved < 2, "on average half of the blocks lie above a head"
    assert knocked.seconds > suffix.seconds > last.seconds
    assert last.seconds > estimate.seconds and estimate.bytes > last.bytes
    for method, first in (("activation", last), ("attribution", estimate)):
        _, whole = located(method=method, metric="logprob_diff")
        assert whole.seconds > 1.5 * first.seconds, "two answers, each after both prompts"


@pytest.mark.parametrize(("family", "residual"), [("llama-gqa", 4), ("qwen3-moe", 2)])
def test_rows_of_dense_models_alone_are_counted_in_float32(family: str, residual: int) -> None:
    view = headed(tiny(family))
    nodes, width = len(view.attention_layers) * view.n_heads, int(view.config.hidden_size)
    few, more = (
        locate_cost(view, torch.bfloat16, Workload(6, 6, rows, 8, 1, 1, 0)) for rows in (6 * nodes - 50, 6 * nodes - 30)
    )
    assert few.waiting == more.waiting == 6 * (1 + nodes) * width * residual
    assert more.bytes - few.bytes == 20 * held_per_token(view, 2, residual)
    assert held_per_token(view, 2, residual) - held_per_token(view, 2) == 6 * width * (residual - 2)


def test_a_model_on_disk_takes_a_block_at_a_time(tmp_path: Path) -> None:
    model = folder(tmp_path, PUBLISHED["Mistral-7B-Instruct-v0.2"][0])

    def located(**settings: str) -> int:
        found = inspect_model(model, settings_of(model, None, {"device": "cpu", **settings}))
        return next(one.bytes for one in found.estimates if one.stage == "locate")

    whole, fetched = located(), located(device_map="disk")
    assert fetched < whole / 2
