"""Configs of models with values of which nothing can be made, and the one message that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinpoint.errors import InputError
from pinpoint.models import load
from tests.bad_input.test_cases import copied
from tests.bad_input.test_cases import refused as refused

VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads is 0"),
    "no key/value heads": ({"num_key_value_heads": 0}, "num_key_value_heads is 0"),
    "heads of nothing": ({"head_dim": 0}, "head_dim is 0"),
    "a size in quotes": ({"hidden_size": "64"}, "Field 'hidden_size' expected int, got str (value: '64')"),
    "half a layer": ({"num_hidden_layers": 2.0}, "Field 'num_hidden_layers' expected int, got float"),
    "rope without what its type needs": (
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}},
        "Missing required keys in `rope_parameters` for 'rope_type'='yarn': {'factor'}",
    ),
    "an unknown rope": ({"rope_parameters": {"rope_type": "weird"}}, "transformers knows no 'weird'"),
    "an unknown activation": ({"hidden_act": "nonsense"}, "transformers knows no 'nonsense'"),
    "a dtype that PyTorch lacks": ({"dtype": "garbage"}, "dtype is 'garbage', which PyTorch does not have"),
    "a part of PyTorch that is no dtype": ({"dtype": "nn"}, "dtype is 'nn', which PyTorch does not have"),
    "padding that no token is": ({"pad_token_id": 5000}, "Padding_idx must be within num_embeddings"),
    "a word for a quantisation": ({"quantization_config": "x"}, "quantization_config is 'x', no JSON object"),
}


def with_values(folder: Path, values: dict[str, Any]) -> Path:
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | values))
    return folder


@pytest.mark.parametrize("case", VALUES)
def test_values_of_which_nothing_can_be_made(case: str, refused: Callable[..., str], tmp_path: Path) -> None:
    values, message = VALUES[case]
    folder = with_values(copied(tmp_path), values)
    for command in (["check", str(folder)], ["locate", str(folder), "--pairs", "4", "--out", "run", "-q"]):
        err = refused(*command, message=message)
        assert f"{folder}/config.json: this config cannot be read: " in " ".join(err.split())
    with pytest.raises(InputError, match="config.json: this config cannot be read: "):
        load(folder, device="cpu")


@pytest.mark.parametrize("text", ["null", "1"])
def test_a_config_that_holds_no_object(text: str, refused: Callable[..., str], tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "config.json").write_text(text)
    for command in (["check", str(folder)], ["locate", str(folder), "--pairs", "4", "--out", "run", "-q"]):
        refused(*command, message="config.json: this config cannot be read: it holds no JSON object.")


QUANTISED: dict[str, dict[str, Any]] = {
    "bits is 'four', no number": {"quant_method": "gptq", "bits": "four"},
    "group_size is 'x', no number": {"quant_method": "awq", "bits": 4, "group_size": "x"},
    "weight_block_size is [0, 128], no size": {"quant_method": "fp8", "weight_block_size": [0, 128]},
    "num_bits is '4', no number": {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"weights": {"num_bits": "4"}}},
    },
}


@pytest.mark.parametrize("message", QUANTISED)
def test_a_quantisation_in_no_numbers(message: str, refused: Callable[..., str], tmp_path: Path) -> None:
    folder = with_values(copied(tmp_path), {"quantization_config": QUANTISED[message]})
    place = f"{folder}/config.json: this config cannot be read"
    refused("check", str(folder), message=f"{place}: quantization_config: {message}")


def test_sizes_below_0(refused: Callable[..., str], tmp_path: Path) -> None:
    folder = with_values(copied(tmp_path), {"hidden_size": -64})
    refused("check", str(folder), message=f"{folder}/config.json: this config cannot be read: hidden_size is -64.")
