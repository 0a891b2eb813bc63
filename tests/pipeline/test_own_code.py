"""A run of a model with code of its own: said before anything runs, kept in every record, and permitted by no file."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pinpoint.artifacts import file_digest
from pinpoint.config import JudgeConfig, code_warning, of_run, resolve, settings_of
from pinpoint.errors import ConfigError, InputError
from pinpoint.measure import judge_of
from pinpoint.models import came_along, load
from pinpoint.pipeline import Run, export_run, inspect_model, lineup_of_run, read_record, restored
from pinpoint.pipeline._export import _write_merged
from pinpoint.pipeline._run import STAGES
from pinpoint.pipeline._stages import key_of
from pinpoint.progress import Silent
from tests.command import said
from tests.conftest import SMALLEST
from tests.own_code import FILES, MARK, forget, modules_in, odd

TRUSTED = SMALLEST | {"trust_remote_code": True}


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with modules_in(tmp_path_factory.mktemp("modules")):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with every stage done, beside the folder of its model; copy it before changing it."""
    home = tmp_path_factory.mktemp("own")
    Run(resolve(str(odd(home / "odd")), None, TRUSTED), home / "run").all()
    return home / "run"


@pytest.fixture
def mark(finished: Path) -> Path:
    """What the code leaves behind when it is run again."""
    forget()
    path = finished.with_name(MARK)
    path.unlink(missing_ok=True)
    return path


def test_every_record_of_the_run_says_it_and_the_page_too(finished: Path) -> None:
    assert of_run(finished).trust_remote_code
    assert [one["trust_remote_code"] for one in json.loads((finished / "env.json").read_text())] == [True]
    record = read_record(finished)
    assert record.config["trust_remote_code"] is True
    for name in FILES:
        assert record.inputs["model"].files[name] == file_digest(finished.with_name("odd") / name)
    page = (finished / "report.html").read_text()
    assert "pinpoint reproduce reproduce.json --trust-remote-code" in page and "code that comes with it ran" in page
    assert "trust_remote_code: true" in page


def test_a_run_without_it_says_nothing_of_code(finished_run: Path) -> None:
    page, card = ((finished_run / name).read_text() for name in ("report.html", "README.md"))
    assert "--trust-remote-code" not in page + card and "trust_remote_code=True" not in page + card
    assert json.loads((finished_run / "env.json").read_text())[-1]["trust_remote_code"] is False
    assert not [name for name in read_record(finished_run).inputs["model"].files if name.endswith(".py")]


def test_a_record_is_no_permission(finished: Path, mark: Path) -> None:
    record = read_record(finished)
    for said_so in (True, "yes", 1, None):
        one = record.model_copy(update={"config": record.config | {"trust_remote_code": said_so}})
        with pytest.raises(InputError, match=r"x: its run ran code .*no record can ask that.*with --trust-remote-code"):
            restored(one, "x", [])
    assert restored(record, "x", [], trust_remote_code=True) == of_run(finished)
    # Given where nothing ran such code, the flag brings none in.
    off = record.model_copy(update={"config": record.config | {"trust_remote_code": False}})
    assert not restored(off, "x", [], trust_remote_code=True).trust_remote_code
    assert not mark.exists()


def test_reproducing_refuses_until_it_is_told_to_and_notices_changed_code(
    finished: Path,
    mark: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    # What is asked for anywhere but on the command line is no answer.
    monkeypatch.setenv("PINPOINT_TRUST_REMOTE_CODE", "true")
    command = ["reproduce", str(finished), "--out", "again"]
    code, out, err = said(command, monkeypatch, capsys)
    assert (code, out, err.count("\n")) == (2, "", 1) and "no record can ask that of this machine" in err
    assert not mark.exists() and not Path("again").exists()
    shutil.copytree(finished, "run")
    shutil.copytree(finished.with_name("odd"), "odd")
    record = json.loads(Path("run/reproduce.json").read_text())
    record["inputs"]["model"]["path"] = str(tmp_path / "odd")
    Path("run/reproduce.json").write_text(json.dumps(record))
    Path("odd/parts_odd.py").write_text("# other code\n" + Path("odd/parts_odd.py").read_text())
    code, out, err = said(["reproduce", "run", "--out", "again", "--trust-remote-code"], monkeypatch, capsys)
    assert code == 2 and "model is not what the run read: parts_odd.py was changed" in err
    assert not mark.exists() and not Path("again").exists()


def test_the_setting_of_a_folder_cannot_change_silently(
    finished: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(finished.with_name("odd"))
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SMALLEST))
    command = ["run", model, "--config", str(tmp_path / "s.yaml"), "--out", str(finished)]
    code, _, err = said(command, monkeypatch, capsys)
    assert code == 2 and "trust_remote_code (was True, now False)" in err
    assert not mark.exists()


def test_what_code_computed_is_not_kept_for_what_is_computed_without(finished: Path) -> None:
    config = of_run(finished)
    run = Run(config, finished)
    off = Run(config.model_copy(update={"trust_remote_code": False}), finished)
    assert all(key_of(run, stage) != key_of(off, stage) for stage in STAGES)


def test_the_export_loads_with_transformers_as_its_card_says(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = export_run(Run(of_run(finished), finished), out, base="acme/odd")
    assert manifest["agreement"]["same_verdicts"] == 1
    assert {path.name for path in (out / "merged").glob("*.py")} == FILES.keys()
    card = (out / "README.md").read_text()
    assert "Loading any of them runs it\nwith your rights (`trust_remote_code=True`): read it first." in card
    assert "only with `--trust-remote-code`" in card
    # The card's own lines, with the folders in place of what they leave open.
    [snippet] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    snippet = snippet.replace('"FOLDER"', repr(str(out))).replace('"acme/odd"', repr(str(finished.with_name("odd"))))
    named: dict[str, Any] = {}
    adapted, merged = snippet.split("# Or the merged model")
    exec(adapted, named)
    live = named["model"]
    exec(adapted.split("# The adapter")[0] + "# Or" + merged, named)
    assert came_along(named["model"]) and type(named["tokenizer"]).__name__ == "OddTokenizerFast"
    ids = torch.tensor([named["tokenizer"].encode("What is the capital of Australia?")])
    with torch.no_grad():
        assert torch.allclose(live(ids).logits, named["model"](ids).logits, atol=1e-3)


def test_an_export_in_another_dtype_has_the_code_too(finished: Path, tmp_path: Path) -> None:
    _write_merged(Run(of_run(finished), finished), tmp_path, torch.bfloat16)
    assert {path.name for path in (tmp_path / "merged").glob("*.py")} == FILES.keys()
    again = load(tmp_path / "merged", device="cpu", trust_remote_code=True).model
    assert came_along(again) and again.dtype == torch.bfloat16


def test_a_chat_with_a_run_of_it_loads_base_and_tuned(finished: Path, mark: Path) -> None:
    lineup = lineup_of_run(of_run(finished), finished, Silent(), max_new_tokens=4)
    assert all(came_along(one.view.model) for one in lineup.partners.values())


def test_a_check_tells_whose_class_it_is(finished: Path) -> None:
    model = str(finished.with_name("odd"))
    found = inspect_model(model, settings_of(model, None, {"trust_remote_code": True}))
    assert found.architecture == "odd" and found.chat_template
    told = (
        "its class, OddForCausalLM, came with it and was run; its heads seem to be at model.layers.*.self_attn.o_proj"
    )
    assert any(note.startswith(told) for note in found.notes)


@pytest.mark.parametrize(
    ("command", "code", "runs"),
    [
        (["check", "MODEL", "--trust-remote-code"], 0, True),
        (["run", "MODEL", "--trust-remote-code", "--dry-run"], 0, True),
        (["locate", "MODEL", "--trust-remote-code", "--pairs", "2", "--out", "new"], 0, True),
        # Each of these is told of what is missing, after the line.
        (["report", "RUN"], 2, False),
        (["export", "RUN", "--out", "RUN"], 2, False),
        (["chat", "RUN", "--terminal"], 2, False),
        (["reproduce", "RUN", "--out", "RUN", "--trust-remote-code"], 2, False),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_one_line_says_it_before_any_of_it_runs(
    command: list[str],
    code: int,
    runs: bool,
    finished: Path,
    mark: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "copied", ignore=shutil.ignore_patterns("merged"))
    model = finished.with_name("odd")
    places = {"MODEL": str(model), "RUN": "copied"}
    ended, _, err = said([places.get(word, word) for word in command], monkeypatch, capsys)
    line = f"warning: code that comes with {model} runs with your rights (trust_remote_code)."
    assert (ended, mark.exists()) == (code, runs), err
    assert err.splitlines().count(line) == 1 and err.startswith(line)


def test_quiet_stays_quiet_and_a_setting_in_a_file_is_asking(
    finished: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text("trust_remote_code: true\n")
    command = ["locate", str(finished.with_name("odd")), "--config", "s.yaml", "--pairs", "2", "--out", "new"]
    code, _, err = said([*command, "--quiet"], monkeypatch, capsys)
    assert (code, err) == (0, "") and mark.exists()


def test_the_warning_names_model_and_revision_and_asks_for_a_commit() -> None:
    def warned(**settings: object) -> str:
        return code_warning(settings_of("acme/odd", None, settings))

    assert warned() == ""
    on = {"trust_remote_code": True}
    main = "code that comes with acme/odd, revision main runs with your rights (trust_remote_code). Pin it: read the"
    assert warned(**on).startswith(main)
    assert "revision v2 runs" in warned(**on, revision="v2") and "--revision" in warned(**on, revision="v2")
    assert warned(**on, revision="a1" * 20).endswith(f"revision {'a1' * 20} runs with your rights (trust_remote_code).")


def test_variables_set_it_and_a_models_own_settings_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = odd(tmp_path / "odd")
    monkeypatch.setenv("PINPOINT_TRUST_REMOTE_CODE", "true")
    assert settings_of(str(folder), None, {}).trust_remote_code
    assert not settings_of(str(folder), None, {"trust_remote_code": False}).trust_remote_code
    monkeypatch.delenv("PINPOINT_TRUST_REMOTE_CODE")
    assert not settings_of(str(folder), None, {}).trust_remote_code
    (folder / "pinpoint.yaml").write_text("trust_remote_code: true\n")
    with pytest.raises(ConfigError, match=r"pinpoint\.yaml: trust_remote_code: a model's own settings cannot say"):
        settings_of(str(folder), None, {})


def test_a_judge_runs_no_code(finished: Path, mark: Path) -> None:
    judge = judge_of(JudgeConfig(kind="model", model=str(finished.with_name("odd"))))
    with pytest.raises(InputError, match=r"for the model of a run, never for a judge"):
        judge.choose(["Yes or no?"], ["yes", "no"])
    assert not mark.exists()
