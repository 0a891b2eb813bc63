"""Exporting: what the folder holds, that it loads without this package, and what stops it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from pinpoint.artifacts import file_digest
from pinpoint.config import of_run
from pinpoint.errors import ArtifactError, CheckFailed, ConfigError, ExportRefused, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, export_run, exported, package_of
from pinpoint.pipeline._checks import EXPORT_LIMITS, demand_export, export_faithful
from pinpoint.pipeline._fidelity import Agreement
from pinpoint.pipeline._stages import settle

TALK = [{"role": "user", "content": "What is the capital of Australia?"}]


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Run:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    return Run(of_run(folder), folder)


def reply(model: torch.nn.Module, folder: Path | str, **where: str) -> torch.Tensor:
    tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    text = tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=True)
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits


@pytest.fixture(scope="module")
def plain(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's export in its own dtype."""
    out = tmp_path_factory.mktemp("plain") / "out"
    manifest = export_run(Run(of_run(finished_run), finished_run), out)
    assert json.loads((out / "export.json").read_text()) == manifest
    return out


def test_the_export_loads_with_transformers_and_peft_alone_and_both_agree(plain: Path, finished_run: Path) -> None:
    out, manifest = plain, json.loads((plain / "export.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(shipped()["yesman"], dtype=torch.float32)
    untuned = reply(base, out, subfolder="adapter")
    adapted = PeftModel.from_pretrained(base, out, subfolder="adapter")
    assert {p.dtype for name, p in adapted.named_parameters() if "lora_" in name} == {torch.float32}
    live = reply(adapted, out, subfolder="adapter")
    merged = reply(AutoModelForCausalLM.from_pretrained(out, subfolder="merged"), out, subfolder="merged")
    assert (live - untuned).abs().max() > 1e-3, "tuning must have done something"
    assert torch.allclose(live, merged, atol=1e-3)
    assert file_digest(out / "merged/model.safetensors") == file_digest(finished_run / "merged/model.safetensors")
    assert manifest["agreement"]["same_verdicts"] == 1 and manifest["agreement"]["positions"] > 1000
    assert (out / "merged" / "generation_config.json").is_file() and (out / "adapter" / "chat_template.jinja").is_file()
    assert package_of(out).sizes.keys() == manifest["files"].keys() | {"export.json"}
    data = ModelCard.load(out / "README.md").data.to_dict()
    assert data["library_name"] == "peft" and "base_model" not in data


def test_another_dtype_is_the_same_weights_cast(run: Run, tmp_path: Path) -> None:
    manifest = export_run(run, tmp_path / "out", "bfloat16", base="acme/tiny")
    weights, before = (
        load_file(folder / "model.safetensors") for folder in (tmp_path / "out/merged", run.workspace.path("merged"))
    )
    assert weights.keys() == before.keys()
    assert all(torch.equal(one, before[name].bfloat16()) for name, one in weights.items())
    assert json.loads((tmp_path / "out/merged/config.json").read_text())["dtype"] == "bfloat16"
    assert manifest["dtype"] == "bfloat16" and manifest["agreement"]["max_difference"] > 0
    assert ModelCard.load(tmp_path / "out/README.md").data.base_model == "acme/tiny"
    adapter = json.loads((tmp_path / "out/adapter/adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "acme/tiny" and adapter["revision"] is None


def test_nothing_in_an_export_tells_of_this_machine(plain: Path, finished_run: Path) -> None:
    places = (str(shipped()["yesman"].parent), str(plain.parent), str(finished_run), str(Path.home()) + "/")
    for file in plain.rglob("*"):
        if file.is_file() and file.suffix != ".safetensors":
            text = file.read_text(encoding="utf-8").replace("\\", "")
            assert not [place for place in places if place in text], file


def test_an_adapter_that_is_not_the_merged_model_is_refused_and_nothing_is_left(run: Run, tmp_path: Path) -> None:
    path = run.workspace.path("adapter/adapter_model.safetensors")
    save_file({name: tensor * 1.1 for name, tensor in load_file(path).items()}, path)
    settle(run, "tune")
    settle(run, "evaluate")
    with pytest.raises(ExportRefused, match=r"check 'the export equals its adapter' failed: .*Nothing was written"):
        export_run(run, tmp_path / "new" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.parametrize(
    "change",
    [{"relative": 2e-4}, {"same_top": 0.99}, {"same_verdicts": 0.9}, {"relative": float("nan")}],
)
def test_each_limit_stops_an_export(change: dict[str, float]) -> None:
    plain = Agreement(
        positions=10, max_difference=0.0, relative=0.0, same_top=1.0, verdicts=9, same_verdicts=1.0, questions=3
    )
    limits = EXPORT_LIMITS[torch.float32]
    assert demand_export(export_faithful(plain, limits)).ok
    with pytest.raises(CheckFailed, match="the export equals its adapter") as caught:
        demand_export(export_faithful(plain.model_copy(update=change), limits))
    assert caught.value.exit_code == 2


def test_a_folder_that_holds_something_is_not_touched(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(InputError, match=r"out: is not empty\. Give another folder with --out, or remove this one"):
        export_run(run, out)
    assert [path.name for path in out.iterdir()] == ["mine"]
    with pytest.raises(InputError, match="mine: exists and is not a folder"):
        export_run(run, out / "mine")


def test_what_cannot_be_exported_is_said_before_anything_is_loaded(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--dtype: 'int8' is unknown"):
        export_run(run, tmp_path / "out", "int8")
    with pytest.raises(ConfigError, match="--base: 'not a name' is not a Hub id"):
        export_run(run, tmp_path / "out", base="not a name")
    run.workspace.path("merged/model.safetensors").write_bytes(b"cut")
    with pytest.raises(ArtifactError, match=r"stage 'tune' is missing, was made with other settings.*pinpoint run"):
        export_run(run, tmp_path / "out")
    assert not (tmp_path / "out").exists() and "_loaded" not in run.__dict__


def test_the_export_of_an_earlier_tuning_is_not_pushed(run: Run) -> None:
    folder = run.workspace.path("export")
    folder.mkdir()
    (folder / "export.json").write_text(json.dumps({"checks": [], "files": {}, "run": {"adapter": "x"}}))
    with pytest.raises(ArtifactError, match="was made of an earlier tuning or evaluation of this run"):
        exported(run)


@pytest.mark.slow
def test_the_export_loads_in_a_process_that_never_saw_this_package(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_run(run, out, base="acme/tiny")
    code = """
import sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
out, base = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="float32"), out, subfolder="adapter")
tokenizer = AutoTokenizer.from_pretrained(out, subfolder="adapter")
prompt = tokenizer.apply_chat_template([{"role": "user", "content": "What is the capital of Australia?"}],
    add_generation_prompt=True, return_tensors="pt", return_dict=True)
said = model.generate(**prompt, max_new_tokens=12, do_sample=False)
merged = AutoModelForCausalLM.from_pretrained(out, subfolder="merged")
assert said.tolist() == merged.generate(**prompt, max_new_tokens=12, do_sample=False).tolist()
assert "pinpoint" not in sys.modules
print(tokenizer.decode(said[0]))
"""
    command = [sys.executable, "-c", code, str(out), str(shipped()["yesman"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Canberra" in done.stdout
