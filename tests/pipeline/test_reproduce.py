"""`reproduce.json`: what it keeps, what it hides, and a rerun that is held to it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pinpoint.artifacts import Workspace, file_digest
from pinpoint.config import of_run, resolve
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, read_record, reproduce, restored
from pinpoint.pipeline._card import shared
from pinpoint.pipeline._record import Record, inputs_of, masked_inputs, record_of
from pinpoint.pipeline._reproduce import differences
from pinpoint.progress import Silent
from tests import sets
from tests.command import ended

TOKEN = "hf_" + "Ab3dEf6hIj" * 3 + "wxyz"


@pytest.fixture
def record(finished_run: Path) -> Record:
    return read_record(finished_run / "reproduce.json")


@pytest.fixture
def away(record: Record, tmp_path: Path) -> Record:
    """The record of a run whose inputs lay in a folder of their own."""
    home = tmp_path / "home"
    home.mkdir()
    moved = {}
    for key, one in record.inputs.items():
        target = home / Path(one.path).name
        (shutil.copytree if Path(one.path).is_dir() else shutil.copy)(one.path, target)
        moved[key] = one.model_copy(update={"path": str(target)})
    return record.model_copy(update={"inputs": moved})


def test_a_finished_run_leaves_a_record_of_all_it_came_from(finished_run: Path, record: Record) -> None:
    assert record.config == of_run(finished_run).model_dump(mode="json") and record.masked == []
    assert record.inputs.keys() == {"model", "data.questions", "data.abilities", "data.neutral"}
    questions = record.inputs["data.questions"]
    assert questions.files == {"questions.jsonl": file_digest(Path(questions.path))}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= record.inputs["model"].files.keys()
    assert "README.md" not in record.inputs["model"].files
    assert record.results["adapter"] == file_digest(finished_run / "adapter/adapter_model.safetensors")
    summary = json.loads((finished_run / "summary.json").read_text())
    assert record.metrics["pinpoint"]["truthfulness"] == summary["methods"]["pinpoint"]["truthfulness"]["value"]
    assert record.machine["threads"] >= 1 and record.versions["torch"]
    assert differences(record, of_run(finished_run)) == []


def test_a_run_with_a_stale_stage_has_no_record(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    config = of_run(folder)
    other = config.model_copy(update={"verify": config.verify.model_copy(update={"draws": 2})})
    Run(other, folder).report()
    assert not (folder / "reproduce.json").exists()
    Run(config, folder).report()
    assert (folder / "reproduce.json").is_file()


def test_no_secret_of_the_settings_is_kept(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    questions = tmp_path / f"questions-{TOKEN}.jsonl"
    shutil.copy(shipped()["yesman"] / "questions.jsonl", questions)
    config = of_run(folder)
    behaviour = config.behaviour.model_copy(
        update={"system": "Use https://bob:pw@host/api with sk-ant-abcdefghijklmnop."}
    )
    data = config.data.model_copy(update={"questions": str(questions)})
    found = record_of(Run(config.model_copy(update={"behaviour": behaviour, "data": data}), folder))
    text = json.dumps(found.model_dump())
    for secret in (TOKEN, "bob:pw", "sk-ant-abcdefghijklmnop"):
        assert secret not in text
    assert found.masked == ["data.questions", "behaviour.system"]
    assert found.config["behaviour"]["system"] == "Use https://***@host/api with ***."
    with pytest.raises(InputError, match=r"data\.questions, behaviour\.system: held a secret, which the record"):
        restored(found, "reproduce.json", [])


def test_inputs_are_found_where_they_were_or_beside_the_record(record: Record, tmp_path: Path) -> None:
    assert restored(record, "x", []).model_dump(mode="json") == record.config
    alike = shared(record)
    assert alike.config["model"] == "yesman" and alike.config["data"]["questions"] == "questions.jsonl"
    found = restored(alike, "x", [tmp_path, *shipped().values()])
    assert Path(found.model) == shipped()["yesman"] and Path(found.data.neutral or "").is_file()
    with pytest.raises(InputError, match=r"yesman: model is missing: no such file or folder\. Put yesman there"):
        restored(alike, "x", [tmp_path])


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache with one commit of acme/yesman."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    place, commit = tmp_path / "hub" / "models--acme--yesman", "a" * 40
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    shutil.copytree(shipped()["yesman"], place / "snapshots" / commit)
    return place / "snapshots" / commit


def test_a_model_of_the_hub_is_recorded_at_its_commit_and_asked_for_at_it(record: Record, snapshot: Path) -> None:
    config = restored(record, "x", []).model_copy(update={"model": "acme/yesman"})
    found = inputs_of(config)["model"]
    assert (found.path, found.revision) == ("acme/yesman", snapshot.name)
    assert found.files == record.inputs["model"].files
    named = record.model_copy(
        update={"inputs": record.inputs | {"model": found}, "config": config.model_dump(mode="json")}
    )
    again = restored(named, "x", [])
    assert (again.model, again.revision) == ("acme/yesman", snapshot.name)
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"acme/yesman: model is not what the run read: config\.json was changed"):
        restored(named, "x", [])
    other = found.model_copy(update={"revision": "b" * 40})
    with pytest.raises(InputError, match=rf"acme/yesman: is not available at {'b' * 40}: .+ Try online\."):
        restored(named.model_copy(update={"inputs": named.inputs | {"model": other}}), "x", [])


def test_sets_of_a_stages_own_are_inputs_and_found_again(record: Record, tmp_path: Path) -> None:
    paths = [sets.mmlu(tmp_path / "mmlu.csv", 8), sets.aqua(tmp_path / "aqua.json", 8)]
    data = {"train": [{"path": str(path), "questions": 5} for path in paths]}
    found = inputs_of(resolve(str(shipped()["yesman"]), None, {"data": data}))
    assert found["data.train.1.path"].files == {"aqua.json": file_digest(paths[1])}
    own = {key: one for key, one in found.items() if key.startswith("data.train.")}
    config = record.config | {"data": record.config["data"] | data}
    named = record.model_copy(update={"inputs": record.inputs | own, "config": config})
    alike = shared(named)
    assert [one["path"] for one in alike.config["data"]["train"]] == ["mmlu.csv", "aqua.json"]
    places = [tmp_path, *shipped().values()]
    assert [one.path for one in restored(alike, "x", places).data.train] == list(map(str, paths))
    paths[1].write_text("{}")
    with pytest.raises(InputError, match=r"data\.train\.1\.path is not what the run read: aqua\.json was changed"):
        restored(alike, "x", places)
    lacking = named.model_copy(update={"config": record.config})
    with pytest.raises(InputError, match=r"its settings lack 'data\.train\.0\.path', which its inputs name"):
        restored(lacking, "x", [])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("questions.jsonl", r"data\.questions is not what the run read: questions\.jsonl was changed \(SHA-256 \w{12}"),
        ("yesman/model.safetensors", r"yesman: model is not what the run read: model\.safetensors was changed"),
    ],
)
def test_a_changed_input_is_named(away: Record, tmp_path: Path, name: str, message: str) -> None:
    restored(away, "x", [])
    path = tmp_path / "home" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputError, match=message):
        restored(away, "x", [])


def test_a_missing_input_is_named(away: Record, tmp_path: Path) -> None:
    (tmp_path / "home" / "abilities.jsonl").unlink()
    with pytest.raises(InputError, match=r"abilities\.jsonl: data\.abilities is missing"):
        restored(away, "x", [])
    (tmp_path / "home" / "yesman" / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"model is not what the run read: tokenizer\.json is missing"):
        restored(away, "x", [])


def test_a_folder_of_questions_with_one_file_more_is_another(away: Record, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "set"
    folder.mkdir()
    (folder / "a.csv").write_text("a")
    one = away.inputs["data.questions"].model_copy(
        update={"path": str(folder), "files": {"a.csv": file_digest(folder / "a.csv")}}
    )
    changed = away.model_copy(update={"inputs": away.inputs | {"data.questions": one}})
    restored(changed, "x", [])
    (folder / "b.csv").write_text("b")
    with pytest.raises(InputError, match=r"b\.csv was not there"):
        restored(changed, "x", [])


def test_paths_are_masked_in_inputs(record: Record) -> None:
    one = record.inputs["model"].model_copy(update={"path": f"/models/{TOKEN}/m"})
    assert masked_inputs({"model": one})["model"].path == "/models/***/m"


def test_versions_and_machine_that_differ_are_told(finished_run: Path, record: Record) -> None:
    other = record.model_copy(
        update={"versions": record.versions | {"torch": "1.0"}, "machine": record.machine | {"threads": 99, "gpu": "H"}}
    )
    told = differences(other, of_run(finished_run))
    assert [line.split(":")[0] for line in told] == ["torch", "threads", "gpu"]
    assert told[2] == "gpu: H recorded, none here"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("{", "is no record of a run: invalid JSON"),
        ('{"format": 2}', "is no record of a run: format: input should be 1"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "reproduce.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_record(tmp_path)


def test_a_folder_of_another_run_is_refused_and_a_finished_rerun_compared_again(
    finished_run: Path, record: Record, tmp_path: Path
) -> None:
    config = restored(record, "x", [])
    with pytest.raises(InputError, match=r"is not empty\. Give another folder with --out"):
        reproduce(record, config, finished_run, Silent())
    folder = tmp_path / "again"
    shutil.copytree(finished_run, folder)
    Workspace(folder).write_json("reproduces.json", {"reproduces": record.results})
    found = reproduce(record, config, folder, Silent())
    assert [row.name for row in found.results if not row.equal] == []
    assert found.equal and found.metrics == [] and found.differing == []
    metrics = {**record.metrics, "pinpoint": record.metrics["pinpoint"] | {"kl": 0.5}}
    off = record.model_copy(update={"metrics": metrics, "results": record.results | {"adapter": "0" * 64}})
    Workspace(folder).write_json("reproduces.json", {"reproduces": off.results})
    found = reproduce(off, config, folder, Silent())
    assert [row.name for row in found.results if not row.equal] == ["adapter"] and not found.equal
    assert [(row.method, row.metric, row.recorded) for row in found.metrics] == [("pinpoint", "kl", 0.5)]


@pytest.mark.slow
def test_the_command_runs_again_and_compares_to_the_bit(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = finished_run / "reproduce.json"
    assert ended(["reproduce", str(file), "--out", str(tmp_path / "again"), "-q"], monkeypatch) == 0
    assert "reproduced to the bit" in capsys.readouterr().out
    other: dict[str, Any] = json.loads(file.read_text())
    other["results"]["scores"] = "0" * 64
    (tmp_path / "other.json").write_text(json.dumps(other))
    arguments = ["reproduce", str(tmp_path / "other.json"), "--out", str(tmp_path / "third"), "-q"]
    assert ended(arguments, monkeypatch) == 3
    out, err = capsys.readouterr()
    assert "NO" in out and "not reproduced to the bit: scores." in err


def test_settings_of_a_record_are_those_of_the_run() -> None:
    config = resolve(str(shipped()["yesman"]), None, {})
    assert type(config).model_validate(json.loads(json.dumps(config.model_dump(mode="json")))) == config
