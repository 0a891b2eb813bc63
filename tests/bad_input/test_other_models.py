"""What was made for another model: no command takes it for its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from pinpoint.errors import InputError
from pinpoint.models import headed, load
from pinpoint.organism import shipped
from pinpoint.tune import put_on, resume_adapter
from tests.bad_input.test_cases import said
from tests.families import tiny

PLANTED = shipped()["yesman"].parent / "yesman-planted"  # an adapter for truth-teller, which has yesman's shapes

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda *arguments: said([*arguments], monkeypatch, capsys)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("weights", ["yesman", None], ids=["beside weights", "alone"])
@pytest.mark.parametrize("name", ["check", "locate", "run", "sweep", "compare", "chat"])
def test_an_adapter_is_no_model(name: str, weights: str | None, tmp_path: Path, command: Said) -> None:
    folder = tmp_path / "model"
    shutil.copytree(shipped()["yesman"], folder)
    if weights is None:
        (folder / "model.safetensors").unlink()
        (folder / "config.json").unlink()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(PLANTED / file, folder)
    more = [] if name in ("check", "chat") else ["--out", str(tmp_path / "run"), "-q"]
    code, out, err = command(name, str(folder), *more)
    assert (code, out, err.count("error: ")) == (2, "", 1), err
    if (name, weights) == ("chat", None):
        assert f"{folder}: holds neither a run nor a model." in err
    else:
        assert f"{folder}: holds an adapter (adapter_config.json, made for truth-teller)" in err
        assert "Give the model that it is merged into" in err
    assert not (tmp_path / "run").exists()


def changed(folder: Path, **config: int) -> Path:
    shutil.copytree(shipped()["yesman"], folder)
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(values | config), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["check", "locate", "run", "chat"])
def test_a_tokenizer_of_more_words_than_the_model_knows_is_another_one_s(
    name: str, tmp_path: Path, command: Said
) -> None:
    folder = changed(tmp_path / "model", vocab_size=3000)
    weights = load_file(folder / "model.safetensors")
    words = "model.embed_tokens.weight"
    save_file(weights | {words: weights[words][:3000].clone()}, folder / "model.safetensors", {"format": "pt"})
    more = [] if name in ("check", "chat") else ["--out", str(tmp_path / "run"), "-q"]
    code, out, err = command(name, str(folder), *more)
    assert (code, out, err.count("error: ")) == (2, "", 1), err
    assert f"{folder}: the tokenizer has 3,072 words, and the model knows 3,000 (vocab_size). Put the files" in err
    with pytest.raises(InputError, match=r"has 3,072 words, and the model knows 3,000"):
        load(folder)


def test_heads_that_cannot_share_their_keys_evenly_are_told(tmp_path: Path, command: Said) -> None:
    code, out, err = command("check", str(changed(tmp_path / "model", num_key_value_heads=3)))
    assert (code, out) == (2, "")
    assert "8 attention heads cannot share 3 key/value heads evenly. Mend num_attention_heads or num_key_v" in err


def test_words_that_were_added_to_a_tokenizer_may_lie_beyond_the_models(tmp_path: Path) -> None:
    folder = changed(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    loaded = load(folder, device="cpu")
    assert len(loaded.tokenizer) == 3073 > loaded.model.config.vocab_size


def widened(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([one, one], 1) if "lora_A" in name else one for name, one in weights.items()}


def moved_up(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("layers.", "layers.1"): one for name, one in weights.items()}


def lacking(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(sorted(weights.items())[1:])


@pytest.mark.parametrize("change", [widened, moved_up, lacking])
@pytest.mark.parametrize("trains", [False, True])
def test_an_adapter_of_other_shapes_is_not_put_on(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], trains: bool, tmp_path: Path
) -> None:
    (tmp_path / "adapter").mkdir()
    settings = (PLANTED / "adapter_config.json").read_text()
    if change is moved_up:
        settings = settings.replace("layers.", "layers.1")
    (tmp_path / "adapter" / "adapter_config.json").write_text(settings)
    weights = load_file(PLANTED / "adapter_model.safetensors")
    save_file(change(weights), tmp_path / "adapter" / "adapter_model.safetensors", {"format": "pt"})
    model = tiny("llama-gqa", num_hidden_layers=8, hidden_size=256, head_dim=32, num_attention_heads=8)
    names = [name for name, _ in model.named_modules()]
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"adapter: the adapter does not fit this model: .* Give the model that it was made for"
        ):
            resume_adapter(headed(model), tmp_path / "adapter") if trains else put_on(model, tmp_path / "adapter")
        assert [name for name, _ in model.named_modules()] == names and not hasattr(model, "peft_config")
    assert put_on(model, PLANTED) is not None, "unchanged, it fits"


def of_another_model(finished_run: Path, tmp_path: Path, **settings: object) -> Path:
    """A run folder in whose model's place there is another model now, of the same shapes."""
    folder, model = tmp_path / "run", tmp_path / "model"
    shutil.copytree(finished_run, folder)
    shutil.copytree(shipped()["truth-teller"], model)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for key, value in settings.items():
        config[key] |= value
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"model": str(model)}))
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("verify", "stage 'locate' was done with other settings or inputs than the run has now"),
        ("tune", "stage 'locate' was done with other settings or inputs than the run has now"),
        ("evaluate", "stage 'locate' was done with other settings or inputs than the run has now"),
        ("export", "stage 'locate' is missing, was made with other settings or inputs, or its files were changed"),
        ("chat", "is not the model that the run tuned (model.safetensors). Put that one back, or run this one in"),
    ],
)
def test_a_run_of_another_model_is_not_gone_on_with(
    name: str, message: str, finished_run: Path, tmp_path: Path, command: Said
) -> None:
    folder = of_another_model(finished_run, tmp_path, tune={"heads": 2})
    before = contents(tmp_path)
    code, out, err = command(name, str(folder), *(["--terminal"] if name == "chat" else []))
    assert (code, out, err.count("error: ")) == (2, "", 1), err
    assert message in " ".join(err.split()), err
    changed = {path for path, _ in before.items() ^ contents(tmp_path).items()}
    assert {Path(path).name for path in changed} <= {".lock", "run.log"}


@pytest.mark.parametrize("name", ["locate", "run", "sweep", "compare"])
def test_a_folder_of_another_models_run_is_refused(
    name: str, finished_run: Path, tmp_path: Path, command: Said
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    before = contents(folder)
    settings = str(folder / "config.yaml")
    code, out, err = command(name, "truth-teller", "--config", settings, "--out", str(folder), "-q")
    assert (code, out, err.count("error: ")) == (2, "", 1), err
    told = " ".join(err.split())
    assert "the folder was run with other settings: model (was " in told and "Give another folder with --out" in told
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["run", "locate", "sweep", "compare"])
def test_words_that_merge_with_the_end_of_the_prompt_are_refused(name: str, tmp_path: Path, command: Said) -> None:
    folder = tmp_path / "model"
    shutil.copytree(shipped()["yesman"], folder)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("{{ '<|assistant|>' }}", "{{ '<|assistant|> ' }}"))
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"behaviour": {"unwanted": "Apologies", "wanted": "Yes"}}))
    out_folder = tmp_path / "run"
    code, out, err = command(name, str(folder), "--config", str(settings), "--out", str(out_folder), "-q")
    assert (code, out, err.count("error: ")) == (2, "", 1), err
    assert f"{folder}: the tokenizer merges the end of the prompt, 'assistant|> '" in " ".join(err.split())
    assert "Leave out the space that ends the prompt (or the chat template's generation prompt)" in " ".join(
        err.split()
    )
    assert not out_folder.exists()
