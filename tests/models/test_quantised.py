"""Models in 4 and 8 bits: located with as they are, where bitsandbytes is there; never tuned."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.config import TuneConfig
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.organism import shipped
from pinpoint.tune import tune_full, tune_heads
from tests.models import checks

WAYS = {
    "4 bits": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32},
    "8 bits": {"load_in_8bit": True},
}
# Not that of float32: what was measured, and what is known of why, is in docs/locators.md.
TOLERANCE = 0.1


@pytest.mark.parametrize("way", WAYS)
def test_a_quantised_model_is_located_with_and_not_tuned(way: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    source = str(shipped()["yesman"])
    small = {"quantization_config": BitsAndBytesConfig(**WAYS[way]), "device_map": {"": "cpu"}, "dtype": torch.float32}
    AutoModelForCausalLM.from_pretrained(source, **small).save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path / "model")
    model, tokenizer = pinpoint.load(tmp_path / "model", "float32", "cpu")
    exact = pinpoint.locate(model, None, checks.alike(), engine="naive")
    assert exact.effects.abs().max() > 1e-3
    assert checks.relative(pinpoint.locate(model, None, checks.alike()).effects, exact.effects) < TOLERANCE
    for tune, heads in ((tune_heads, [[Head(0, 1)]]), (tune_full, [])):
        space = Workspace(tmp_path / "run")
        extra = {"base_path": source} if heads else {}
        with pytest.raises(InputError, match="its weights are quantised: what is trained would be rounded away"):
            tune(model, tokenizer, *heads, [], TuneConfig(), lambda _model: {}, space, seed=0, **extra)
        assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())
