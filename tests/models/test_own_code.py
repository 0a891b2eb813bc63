"""Checkpoints whose classes come with them: run only where that was asked for, and located exactly."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig

import pinpoint
from pinpoint.errors import ArchitectureError, InputError
from pinpoint.locate import try_layout
from pinpoint.models import (
    Layout,
    _registry,
    blank,
    came_along,
    fused,
    headed,
    load,
    load_tokenizer,
    model_class,
    register,
    stacked,
)
from pinpoint.models._gpt import GPT_NEOX
from pinpoint.pipeline._inspect import read_config, skeleton
from tests.models import checks
from tests.own_code import FILES, MARK, modules_in, odd


@pytest.fixture(autouse=True)
def modules(tmp_path: Path) -> Iterator[None]:
    with modules_in(tmp_path / "modules"):
        yield


LOADERS: dict[str, Callable[..., Any]] = {
    "load": lambda folder, **asked: load(folder, device="cpu", **asked),
    "load_tokenizer": load_tokenizer,
    "read_config": lambda folder, **asked: read_config(str(folder), None, **asked),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_it_is_refused_unless_it_is_trusted_and_then_it_runs(loader: str, tmp_path: Path) -> None:
    folder, mark = odd(tmp_path / "odd"), tmp_path / MARK
    with pytest.raises(InputError, match=r"odd: can only be loaded by running code that .*it, --trust-remote-code"):
        LOADERS[loader](folder)
    assert not mark.exists() and not (tmp_path / "modules").exists()
    LOADERS[loader](folder, trust_remote_code=True)
    assert mark.exists() and (tmp_path / "modules").is_dir()


def test_what_is_loaded_is_its_own_and_located_exactly(tmp_path: Path) -> None:
    model, tokenizer = load(odd(tmp_path / "odd"), "float32", "cpu", trust_remote_code=True)
    assert came_along(model) and came_along(model.config) and type(model.model).__name__ == "OddModel"
    assert type(tokenizer).__name__ == "OddTokenizerFast"
    assert headed(model).layout is _registry.LLAMA
    assert checks.locate_difference(model) < 1e-4
    assert checks.reference_difference(model) < 1e-4
    assert checks.padding_difference(model) < 1e-4
    assert checks.tune_difference(model, "q,k,v,o") < 1e-5


@pytest.mark.parametrize("device_map", ["host", "disk"])
def test_its_blocks_can_be_fetched_as_they_run(device_map: str, tmp_path: Path) -> None:
    folder = odd(tmp_path / "odd")
    model = load(folder, "float32", "cpu", device_map=device_map, trust_remote_code=True).model
    plain = load(folder, "float32", "cpu", trust_remote_code=True).model
    assert torch.allclose(model(checks.IDS).logits, plain(checks.IDS).logits, atol=1e-5)


def test_a_merge_of_it_carries_the_code_that_ran_and_needs_the_same_trust(tmp_path: Path) -> None:
    model, tokenizer = load(odd(tmp_path / "odd"), "float32", "cpu", trust_remote_code=True)
    merged = tmp_path / "merged"
    model.save_pretrained(merged)
    tokenizer.save_pretrained(merged)
    assert {path.name for path in merged.glob("*.py")} == FILES.keys()
    shutil.rmtree(tmp_path / "odd")
    (tmp_path / MARK).unlink()
    with pytest.raises(InputError, match="can only be loaded by running code that comes with it"):
        load(merged, device="cpu")
    assert not (tmp_path / MARK).exists()
    again = load(merged, "float32", "cpu", trust_remote_code=True)
    assert torch.equal(again.model(checks.IDS).logits, model(checks.IDS).logits)


def test_its_shape_is_known_without_its_weights(tmp_path: Path) -> None:
    folder = str(odd(tmp_path / "odd"))
    config = read_config(folder, None, trust_remote_code=True)
    for _ in range(2):
        view = skeleton(config, folder, None, trust_remote_code=True)
        assert came_along(view.model) and view.device.type == "meta" and (view.n_layers, view.n_heads) == (8, 8)


def test_code_that_fails_is_one_message(tmp_path: Path) -> None:
    broken = odd(tmp_path / "broken", modeling_odd="raise KeyError('no such thing')\n")
    with pytest.raises(InputError, match=r"broken: fails with the code that comes with it: KeyError: 'no such thing'"):
        load(broken, device="cpu", trust_remote_code=True)
    lacking = odd(tmp_path / "lacking", configuration_odd="import not_installed_anywhere\n")
    with pytest.raises(InputError, match=r"ImportError: .*not_installed_anywhere.*Install what it needs"):
        read_config(str(lacking), None, trust_remote_code=True)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("kind", ["RuntimeError", "NotImplementedError", "KeyError", "ZeroDivisionError"])
def test_whatever_its_code_raises_is_one_message(kind: str, loader: str, tmp_path: Path) -> None:
    broken = odd(tmp_path / "broken", configuration_odd=f"raise {kind}('too old')\n")
    with pytest.raises(InputError, match=rf"broken: fails with the code that comes with it: {kind}: '?too old'?. Inst"):
        LOADERS[loader](broken, trust_remote_code=True)


@pytest.mark.parametrize("kind", ["RuntimeError", "LookupError", "ZeroDivisionError"])
def test_code_that_fails_as_it_runs_is_one_message(kind: str, tmp_path: Path) -> None:
    late = FILES["modeling_odd.py"] + f"\n    def forward(self, *args, **more):\n        raise {kind}('too old')\n"
    model = load(odd(tmp_path / "late", modeling_odd=late), device="cpu", trust_remote_code=True).model
    with pytest.raises(ArchitectureError, match=rf"code that comes with it fails as it runs: {kind}: too old"):
        pinpoint.locate(model, None, checks.pairs())


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_in_another_repository_is_refused_before_it_is_fetched(file: str, tmp_path: Path) -> None:
    folder = odd(tmp_path / "odd")
    settings = (folder / file).read_text()
    (folder / file).write_text(
        settings.replace('"configuration_odd', '"other/repo--configuration_odd').replace(
            '"tokenization_odd', '"other/repo--tokenization_odd'
        )
    )
    with pytest.raises(
        InputError, match=r"names code in another repository, other/repo, of which no revision is pinned"
    ):
        load(folder, device="cpu", trust_remote_code=True)
    assert not (tmp_path / MARK).exists()


MOVED = """
class OddModel(LlamaModel):
    def __init__(self, config):
        super().__init__(config)
        self.blocks = self.layers
        del self.layers

    def forward(self, *args, **more):
        self.layers = self.blocks
        try:
            return super().forward(*args, **more)
        finally:
            del self.layers
"""


def test_an_unknown_type_that_no_layout_fits_is_told_what_it_lacks(tmp_path: Path) -> None:
    parts = "from transformers import LlamaModel\n\n" + MOVED
    config = read_config(str(odd(tmp_path / "odd", parts_odd=parts)), None, trust_remote_code=True)
    with pytest.raises(ArchitectureError, match=r"no layout is known for model_type 'odd'.*lacks .*`model.layers`"):
        skeleton(config, str(tmp_path / "odd"), None, trust_remote_code=True)


MIXING = """
import torch
from torch import nn
from transformers import LlamaModel


class Mean(nn.Module):
    def forward(self, x):
        return x + x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]


class OddModel(LlamaModel):
    def __init__(self, config):
        super().__init__(config)
        for block in self.layers:
            block.mean = Mean()
            block.register_forward_hook(lambda block, _args, y: block.mean(y))
"""


def test_a_type_that_fits_a_layout_by_name_alone_is_refused_by_brute_force(tmp_path: Path) -> None:
    """Blocks that also mix positions by a mean, which no name tells."""
    model = load(odd(tmp_path / "odd", parts_odd=MIXING), "float32", "cpu", trust_remote_code=True).model
    assert headed(model).layout is _registry.LLAMA
    with pytest.raises(ArchitectureError, match="an earlier token still reaches the last position"):
        pinpoint.locate(model, None, checks.pairs())


def as_llama(folder: Path) -> Path:
    """The same code under a model type that is known."""
    for path in (folder / "config.json", folder / "configuration_odd.py"):
        path.write_text(path.read_text().replace('"odd"', '"llama"').replace("'odd'", "'llama'"))
    return folder


def test_code_under_a_known_type_is_held_to_brute_force_all_the_same(tmp_path: Path) -> None:
    folder = as_llama(odd(tmp_path / "odd", parts_odd=MIXING))
    # Without trust, transformers takes its own class, and none of the code.
    assert not came_along(read_config(str(folder), None)) and not (tmp_path / MARK).exists()
    model = load(folder, "float32", "cpu", trust_remote_code=True).model
    assert came_along(model) and model.config.model_type == "llama"
    with pytest.raises(ArchitectureError, match="an earlier token still reaches the last position"):
        pinpoint.locate(model, None, checks.pairs())


NEOX = """
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM


class OddForCausalLM(GPTNeoXForCausalLM):
    pass
"""


def neox(folder: Path) -> Path:
    """A tiny model with fused projections, of a class of its own."""
    odd(
        folder,
        modeling_odd=NEOX,
        configuration_odd="from transformers import GPTNeoXConfig\n\n\n"
        "class OddConfig(GPTNeoXConfig):\n    model_type = 'odd'\n",
    )
    shape = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 6, "model_type": "odd", "dtype": "float32"}
    maps = json.loads((folder / "config.json").read_text())["auto_map"]
    (folder / "config.json").write_text(json.dumps({**shape, "auto_map": maps, "initializer_range": 0.2}))
    return folder


def test_rows_that_are_other_heads_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(neox(tmp_path / "odd"))
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    torch.manual_seed(0)

    def made() -> Any:
        return blank(config, model_class(config), folder, trust_remote_code=True).eval().requires_grad_(False)

    fits = headed(made())
    assert fits.layout == GPT_NEOX
    try_layout(fits)
    wrong = dataclasses.replace(GPT_NEOX, projections=lambda _config: fused("query_key_value", stacked))
    monkeypatch.setattr(_registry, "LAYOUTS", (wrong,))
    with pytest.raises(
        ArchitectureError, match=r"the rows of gpt_neox.*query_key_value that would be q of head 1 reach"
    ):
        try_layout(headed(made()))


def test_a_layout_that_the_user_registers_comes_before_a_guess(tmp_path: Path) -> None:
    mine = Layout(model_types=("odd",), notes="mine")
    register(mine)
    try:
        model = load(odd(tmp_path / "odd"), "float32", "cpu", trust_remote_code=True).model
        assert headed(model).layout is mine
    finally:
        _registry._ADDED.clear()


PINNED = """
from pinpoint.config import parse_config
from pinpoint.models import load
from pinpoint.pipeline import inspect_model

inspect_model("acme/odd", parse_config({"model": "acme/odd", "revision": "v1", "trust_remote_code": True}, "here"))
print(type(load("acme/odd", device="cpu", revision="v1", trust_remote_code=True).model).__module__)
"""


@pytest.mark.parametrize("named", ["", "acme/odd--"])
def test_the_code_of_a_revision_is_run_and_no_other(named: str, tmp_path: Path) -> None:
    """From a cache of the Hub with two commits, in a process that reads its places from its environment."""
    home = tmp_path / "hub" / "models--acme--odd"
    (home / "refs").mkdir(parents=True)
    for ref, commit in {"main": "a" * 40, "v1": "b" * 40}.items():
        (home / "refs" / ref).write_text(commit)
        (tmp_path / ref).mkdir()
        folder = odd(tmp_path / ref / "odd")
        for file in ("config.json", "tokenizer_config.json"):
            settings = re.sub(r'"(\w+_odd\.)', rf'"{named}\1', (folder / file).read_text())
            assert (named in settings) and settings.count("_odd.") >= 1
            (folder / file).write_text(settings)
        shutil.copytree(folder, home / "snapshots" / commit)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path / "modules")}
    command = [sys.executable, "-c", PINNED]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"transformers_modules.acme.odd.{'b' * 40}.modeling_odd"
    assert (tmp_path / "v1" / MARK).exists() and not (tmp_path / "main" / MARK).exists()
