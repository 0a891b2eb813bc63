"""A model whose blocks are fetched as they run is located and knocked out as one in memory, each block read once."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from accelerate.utils.offload import OffloadedWeightsLoader
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.config import resolve
from pinpoint.errors import ConfigError, InputError
from pinpoint.interventions import _offloading, knockout, offloading
from pinpoint.memory import handing_back
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.processes import Processes
from tests.families import tiny
from tests.locate import offloaded
from tests.locate.test_engines import pairs, relative

FAMILIES = ("llama-gqa", "gemma2", "bloom", "mixtral", "gpt-neox")


def saved(family: str, folder: Path, tokenizer: PreTrainedTokenizerBase) -> Path:
    tiny(family, vocab_size=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def on_disk(folder: Path) -> PreTrainedModel:
    return pinpoint.load(folder, "float32", "cpu", device_map="disk").model


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each weight was read from disk."""
    counted: Counter[str] = Counter()
    get = OffloadedWeightsLoader.__getitem__

    def counting(self: OffloadedWeightsLoader, key: str) -> torch.Tensor:
        counted[key] += 1
        return get(self, key)

    monkeypatch.setattr(OffloadedWeightsLoader, "__getitem__", counting)
    return counted


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sweep_reads_every_block_once_and_scores_alike(
    family: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, read: Counter[str]
) -> None:
    folder, some = saved(family, tmp_path, tokenizer), pairs(1, count=4)
    whole = pinpoint.load(folder, "float32", "cpu").model
    model = on_disk(folder)
    read.clear()
    scores = pinpoint.locate(model, None, some, rows_per_chunk=16)
    expected = pinpoint.locate(whole, None, some, rows_per_chunk=16)
    assert relative(scores.effects, expected.effects) < 1e-5
    blocks = dict(model.named_parameters())
    fetched = [name for name, weight in blocks.items() if weight.is_meta]
    assert len(fetched) == sum(1 for block in headed(model).layers for _ in block.parameters())
    assert {read[name] for name in fetched} == {1} and len(read) == len(fetched)
    read.clear()
    pinpoint.locate(model, None, some, batch_size=2)
    assert set(read.values()) == {2}, "once a batch"


def test_every_other_way_through_the_model_is_exact_too(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    folder, some = saved("llama-gqa", tmp_path, tokenizer), pairs(1, count=2)
    whole, model = pinpoint.load(folder, "float32", "cpu").model, on_disk(folder)
    means = torch.full((3, 6, headed(model).head_dim), 0.1)
    for asked in (
        {"engine": "naive"},
        {"method": "activation"},
        {"method": "attribution"},
        {"method": "knockout", "means": means},
    ):
        ours, theirs = (pinpoint.locate(one, None, some, **asked).effects for one in (model, whole))
        assert relative(ours, theirs) < 1e-5, asked
    ids = torch.tensor([some[0].reference])
    replies = []
    for one in (model, whole):
        view = headed(one)
        with torch.no_grad(), knockout(view, [pinpoint.Head(1, 2)], torch.zeros(3, 6, view.head_dim)):
            replies.append(one.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0).tolist())
    assert replies[0] == replies[1]


def test_a_sweep_that_fetches_blocks_and_no_other_gives_freed_memory_back_at_once(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, some, entered = saved("llama-gqa", tmp_path, tokenizer), pairs(1, count=2), []

    @contextmanager
    def noted() -> Iterator[None]:
        entered.append(len(entered))
        with handing_back():
            yield

    monkeypatch.setattr(_offloading, "handing_back", noted)
    pinpoint.locate(pinpoint.load(folder, "float32", "cpu").model, None, some)
    assert entered == []
    pinpoint.locate(on_disk(folder), None, some)
    assert entered == [0]


def test_an_error_inside_a_sweep_leaves_the_blocks_on_disk(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    model, some = on_disk(saved("llama-gqa", tmp_path, tokenizer)), pairs(1, count=2)
    before, count = pinpoint.locate(model, None, some).effects, len(offloading(model))
    act = model.model.layers[1].mlp.act_fn
    forward, act.forward = act.forward, None
    with pytest.raises(TypeError):
        pinpoint.locate(model, None, some)
    act.forward = forward
    assert len(offloading(model)) == count
    assert all(weight.is_meta for weight in model.model.layers[1].parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(pinpoint.locate(model, None, some).effects, before)


def test_a_mapping_and_the_host_are_device_maps_too(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    folder, some = saved("llama-gqa", tmp_path, tokenizer), pairs(1, count=2)
    expected = pinpoint.locate(pinpoint.load(folder, "float32", "cpu").model, None, some).effects
    mapping = {"model.embed_tokens": "cpu", "model.layers": "cpu", "model.norm": "cpu", "lm_head": "disk"}
    mapping |= {"model.rotary_emb": "cpu"}
    for device_map in ("host", mapping):
        model = pinpoint.load(folder, "float32", "cpu", device_map=device_map).model
        assert relative(pinpoint.locate(model, None, some).effects, expected) < 1e-5


def test_unknown_device_maps_are_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    folder = saved("llama-gqa", tmp_path, tokenizer)
    with pytest.raises(InputError, match=r"device_map: device map 'tape' is unknown. Use one of host, disk, auto"):
        pinpoint.load(folder, "float32", "cpu", device_map="tape")
    with pytest.raises(ConfigError, match=r"device_map.*'tape' is none of: host, disk"):
        resolve(str(shipped()["yesman"]), None, {"device_map": "tape"})


def test_a_model_on_disk_is_refused_before_a_run_that_would_tune_all_of_it(tmp_path: Path) -> None:
    run = Run(resolve(str(shipped()["yesman"]), None, {"device_map": "disk", "device": "cpu"}), tmp_path / "run")
    message = r"device_map: 'disk' leaves the model on no single device, and full fine-tuning takes.*\(full: null\)"
    with pytest.raises(ConfigError, match=message):
        run.all()
    assert not (tmp_path / "run").exists()


def test_several_processes_do_not_tune_a_model_on_disk(tmp_path: Path) -> None:
    settings = {"device_map": "disk", "device": "cpu", "full": None}
    run = Run(resolve(str(shipped()["yesman"]), None, settings), tmp_path / "run", processes=Processes(0, 2))
    with pytest.raises(ConfigError, match=r"device_map: 'disk' leaves .*: one process tunes it\. Start it without"):
        run.all()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_peak_memory_is_that_of_a_layer_or_two(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        command = [sys.executable, "-m", "tests.locate.offloaded", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = str(tmp_path / "model")
    run("make", folder)
    peaks = {}
    for name in ("", "disk"):
        peaks[name] = json.loads(run("locate", folder, name, str(tmp_path / f"{name or 'whole'}.safetensors")))["peak"]
    assert peaks[""] > offloaded.BYTES
    assert peaks["disk"] < offloaded.BYTES / 3
    disk, whole = (load_file(tmp_path / f"{name}.safetensors") for name in ("disk", "whole"))
    assert relative(disk["effects"], whole["effects"]) < 1e-5
    assert relative(disk["reference"], whole["reference"]) < 1e-5
