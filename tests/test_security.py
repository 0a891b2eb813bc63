"""What a hostile checkpoint, file or folder tries: nothing runs, commands the terminal, leaves its folder, or tells."""

import ast
import builtins
import inspect
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.cli import main
from pinpoint.cli._chat import chat
from pinpoint.cli._console import Terminal, safe
from pinpoint.config import resolve
from pinpoint.errors import ArtifactError, InputError
from pinpoint.models import load, load_tokenizer
from pinpoint.organism import shipped
from pinpoint.pipeline import package_of, read_record
from pinpoint.pipeline._inspect import read_config
from pinpoint.report import write_page

TOKEN = "hf_" + "Ab3dEf6hIj" * 3 + "wxyz"
COMMANDS = {
    "clears the screen": "\x1b[2J",
    "sets the title": "\x1b]0;mine\x07",
    "as one byte": "\x9b2J",
    "goes back": "\rerror: none\b\b",
    "turns text around": "\u202eevil\u2066",
    "writes to the clipboard": "\x1b]52;c;cm0gLXJm\x07",
}
SOURCES = sorted(Path(pinpoint.__file__).parent.rglob("*.py"))


def told(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["pinpoint", *arguments])
    with pytest.raises(SystemExit):
        main()
    return "".join(capsys.readouterr())


def commands_in(text: str) -> list[str]:
    return [sign for sign in text if not sign.isprintable() and sign != "\n"]


@pytest.mark.parametrize("what", COMMANDS)
def test_text_of_files_commands_no_terminal(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = COMMANDS[what]
    assert not commands_in(safe(evil))
    path = tmp_path / "t.jsonl"
    exchange = {"question": "x", "correct_answer": evil, "initial_response": evil, "final_response": evil}
    path.write_text(json.dumps(exchange) + "\n" + json.dumps({evil: evil}) + "\n" + json.dumps({"question": [evil]}))
    assert not commands_in(told(["score", str(path)], monkeypatch, capsys))
    for arguments in (["score", evil], ["run", evil], ["run", "yesman", "--heads", evil], ["report", evil]):
        said = told(arguments, monkeypatch, capsys)
        assert "error: " in said and not commands_in(said), arguments
    settings = tmp_path / "s.yaml"
    settings.write_text(json.dumps({evil: 1}))
    assert not commands_in(told(["run", "yesman", "--config", str(settings)], monkeypatch, capsys))


def test_planted_tokens_are_masked_in_errors_and_in_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["score", f"https://me:{TOKEN}@host/t.jsonl"], ["check", f"me/{TOKEN}"], ["report", TOKEN]):
        said = told(arguments, monkeypatch, capsys)
        assert TOKEN not in said and "***" in said, said
    with Terminal(quiet=False) as terminal:
        terminal.say(f"loading https://host/model?token={TOKEN}")
    said = "".join(capsys.readouterr())
    assert TOKEN not in said and "***" in said


def test_planted_tokens_are_masked_in_what_a_run_leaves_to_be_shared(finished_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    settings = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(settings.replace("system: You are", f"system: token={TOKEN} You are"))
    assert TOKEN in (folder / "config.yaml").read_text()
    page = write_page(Workspace(folder)).read_text()
    assert TOKEN not in page and "token=***" in page


CODE = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nraise RuntimeError('ran')\n"


def with_code(folder: Path) -> Path:
    """A checkpoint that brings code of its own, and says that loading it needs that."""
    shutil.copytree(shipped()["yesman"], folder)
    for name in ("config", "tokenizer_config"):
        path = folder / f"{name}.json"
        settings = json.loads(path.read_text())
        settings["auto_map"] = {
            "AutoConfig": "evil.Config",
            "AutoModelForCausalLM": "evil.Model",
            "AutoTokenizer": ["evil.Tokenizer", None],
        }
        settings |= {"model_type": "evil"} if name == "config" else {"tokenizer_class": "Tokenizer"}
        path.write_text(json.dumps(settings))
    (folder / "evil.py").write_text(CODE)
    return folder


@pytest.mark.parametrize("loader", [load, load_tokenizer, lambda folder: read_config(str(folder), None)])
def test_code_in_a_checkpoint_is_neither_run_nor_asked_about(
    loader: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_code(tmp_path / "model")

    def asked(*_: object) -> str:
        raise AssertionError("the user was asked whether to run it")

    monkeypatch.setattr(builtins, "input", asked)
    with pytest.raises(InputError) as refused:
        loader(folder)
    told = str(refused.value)
    assert told.startswith(f"{folder}: can only be loaded by running code that comes with it")
    mends = ("Give a version of a model type that transformers has itself", "--trust-remote-code", "convert")
    assert sorted(mends, key=told.index) == list(mends)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("command", [["check"], ["locate", "--pairs", "2", "--out", "new", "--quiet"]])
def test_a_checkpoint_that_needs_code_of_its_own_gets_one_error(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = with_code(tmp_path / "model")
    said = told([command[0], str(folder), *command[1:]], monkeypatch, capsys)
    assert said.count("error: ") == said.count("\n") == 1 and "running code that comes with it" in said, said
    assert not (folder / "ran").exists() and not Path("new").exists()


FORBIDDEN_CALLS = {"eval", "exec", "__import__", "compile"}
FORBIDDEN_NAMES = {"pickle", "joblib", "dill", "marshal", "shelve", "cloudpickle"}
FORBIDDEN_ATTRIBUTES = {("torch", "load"), ("yaml", "load"), ("yaml", "unsafe_load"), ("np", "load"), ("os", "system")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_unpickles_evaluates_or_trusts_remote_code(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_NAMES
            case ast.ImportFrom():
                assert (node.module or "").split(".")[0] not in FORBIDDEN_NAMES
            case ast.Call(func=ast.Name(id="own_code"), args=[asked]):
                assert isinstance(asked, ast.Name) or not ast.literal_eval(asked), f"{path}:{node.lineno}"
            case ast.Call(func=ast.Name(id=name)):
                assert name not in FORBIDDEN_CALLS
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                assert (owner, name) not in FORBIDDEN_ATTRIBUTES
            case ast.keyword(arg="shell"):
                raise AssertionError(f"{path}:{node.lineno}")
            case ast.keyword(arg="trust_remote_code", value=value):
                # What the user said is handed on; the package never says it for him.
                assert isinstance(value, ast.Name | ast.Attribute), f"{path}:{node.lineno}"


def test_every_loader_of_checkpoints_is_told_whether_to_run_their_code() -> None:
    loaders = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = getattr(node.func.value, "id", "")
            if node.func.attr in ("from_pretrained", "from_config") and owner not in ("PeftModel", "LoraConfig"):
                stars = [
                    getattr(word.value.func, "id", "")
                    for word in node.keywords
                    if word.arg is None and isinstance(word.value, ast.Call)
                ]
                assert "own_code" in stars, f"{path}:{node.lineno}"
                loaders += 1
    assert loaders > 5


def test_paths_in_artifacts_cannot_leave_their_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "export"
    folder.mkdir()
    checks = [{"name": "x", "ok": True, "detail": ""}]
    for name in ("../secret", str(tmp_path / "secret")):
        files = {name: {"bytes": 1, "sha256": "x"}}
        (folder / "export.json").write_text(json.dumps({"checks": checks, "files": files, "run": {}}))
        with pytest.raises(ArtifactError, match="lies outside the export"):
            package_of(folder)
        record = {"config": {}, "masked": [], "seed": 0, "versions": {}, "machine": {}, "results": {}, "metrics": {}}
        path = tmp_path / "reproduce.json"
        path.write_text(json.dumps(record | {"inputs": {"model": {"path": "m", "files": {name: "x"}}}}))
        with pytest.raises(InputError, match="lies outside its folder"):
            read_record(path)


def test_a_record_of_a_search_that_is_not_there_is_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"full\.search: .*: no such file"):
        resolve(str(shipped()["yesman"]), None, {"full": {"search": str(tmp_path / "none.json")}})


def test_a_chat_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    assert inspect.signature(chat).parameters["host"].default == "127.0.0.1"
