"""Chat templates: a model's own, a plain one, one from a file; and those that take no system message."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.config import resolve, settings_of
from pinpoint.data import (
    assistant,
    choose_template,
    render,
    render_to_reply,
    system,
    system_lost,
    tokens_of_reply,
    user,
)
from pinpoint.errors import ConfigError, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import inspect_model

REFUSING = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
SWALLOWING = "{% if messages[0]['role'] == 'system' %}{% set messages = messages[1:] %}{% endif %}"
DEFAULT = "{% if messages[0]['role'] != 'system' %}{{ 'system: Be kind.\n' }}{% endif %}"
TURNS = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}{{ 'assistant: ' }}"
NAME = "the chat template takes the system message"


def model(folder: Path, prefix: str | None) -> Path:
    """Yesman with something before its template, or without one; its config asks for a system message."""
    shutil.copytree(shipped()["yesman"], folder)
    template = folder / "chat_template.jinja"
    if prefix is None:
        template.unlink()
    else:
        template.write_text(prefix + template.read_text(encoding="utf-8"), encoding="utf-8")
    settings = yaml.safe_load((folder / "pinpoint.yaml").read_text(encoding="utf-8"))
    settings["behaviour"] = settings.get("behaviour", {}) | {"system": "Be kind."}
    (folder / "pinpoint.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return folder


def tried(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    told = done.output if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    return done.exit_code, done.stdout, told


@pytest.mark.parametrize(
    ("template", "lost"),
    [
        (TURNS, ""),
        (REFUSING + TURNS, "refuses"),
        (SWALLOWING + TURNS, "leaves out"),
        (DEFAULT + TURNS, ""),
        ("{{ raise_exception('never') }}", ""),
        ("{{ 1 / 0 }}", ""),
        ("{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + 1 }}{% endif %}" + TURNS, "refuses"),
    ],
)
def test_two_renderings_tell_what_becomes_of_a_system_message(template: str, lost: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(shipped()["yesman"]))
    assert system_lost(choose_template(tokenizer, template), "Be kind.") == lost


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ messages[0]['content'] + 1 }}", "TypeError: can only concatenate str"),
        ("{% for", "unexpected .end of template"),
        ("{{ raise_exception('no user') }}", "no user"),
    ],
)
def test_a_template_that_fails_is_one_clear_error(template: str, why: str) -> None:
    tokenizer = choose_template(AutoTokenizer.from_pretrained(str(shipped()["yesman"])), template)
    with pytest.raises(InputError, match=f"the chat template refuses the messages: {why}.*chat_template") as alone:
        render(tokenizer, [user("Why?")])
    assert "system" not in str(alone.value), "there is none"
    with pytest.raises(InputError, match="take no system message: set `system: ''`"):
        render(tokenizer, [*system("Be kind."), user("Why?")])


def test_a_template_that_fails_where_it_is_told_not_to_think_is_one_clear_error() -> None:
    switched = "{% if enable_thinking is defined %}{{ 1 / 0 }}{% endif %}<think>\n"
    tokenizer = choose_template(AutoTokenizer.from_pretrained(str(shipped()["yesman"])), switched)
    with pytest.raises(InputError, match=r"refuses enable_thinking=false: ZeroDivisionError.* tokenizer.chat_template"):
        render_to_reply(tokenizer, [user("Why?")])
    tokenizer.chat_template = "{% if messages[-1]['role'] == 'assistant' %}{{ 1 / 0 }}{% endif %}A:"
    assert tokens_of_reply(tokenizer, [user("Why?")], " Yes") is None, "how it writes a reply is not told"


def test_the_plain_template_renders_a_prompt_that_its_reply_goes_on_from(tokenizer: PreTrainedTokenizerBase) -> None:
    plain = choose_template(AutoTokenizer.from_pretrained(str(shipped()["yesman"])), "plain")
    asked = [*system("Be kind."), user("Why?"), assistant("So."), user("Sure?")]
    end = plain.eos_token
    text = render(plain, asked)
    told = f"Be kind.\n\nUser:\nWhy?\n\nAssistant:\nSo.{end}\n\nUser:\nSure?\n\nAssistant:\n"
    assert text.removeprefix(plain.bos_token or "") == told
    # What training puts its loss on: the reply and what ends it.
    whole = str(plain.apply_chat_template([*asked, assistant("Yes.")], tokenize=False))
    assert whole.startswith(text) and whole.removeprefix(text) == f"Yes.{end}\n\n"
    assert system_lost(plain, "Be kind.") == ""


@pytest.mark.parametrize(("prefix", "verb"), [(REFUSING, "refuses"), (SWALLOWING, "leaves out")])
def test_a_run_goes_without_a_system_message_that_is_not_rendered_and_says_so(
    tmp_path: Path, prefix: str, verb: str
) -> None:
    folder, out = model(tmp_path / "model", prefix), tmp_path / "run"
    code, shown, told = tried("run", folder, "--dry-run", "--json", "--out", out)
    assert code == 0, told
    plan = json.loads(shown)
    assert plan["template"] == "own" and "Be kind." not in plan["reference"] + plan["trained_prompt"]
    [note] = plan["notes"]
    assert note.startswith(f"check {NAME!r} failed: it {verb} 'Be kind.'")
    assert note in inspect_model(str(folder)).notes
    for _ in range(2):  # the second finds the folder's settings to be its own
        code, _, told = tried("locate", folder, "--out", out, "--pairs", 8, "--quiet")
        assert code == 0, told
    assert yaml.safe_load((out / "config.yaml").read_text(encoding="utf-8"))["behaviour"]["system"] == ""
    [check] = [one for one in json.loads((out / "checks.json").read_text(encoding="utf-8")) if one["name"] == NAME]
    assert not check["ok"] and verb in check["detail"]


def test_a_model_without_a_template_is_told_of_the_plain_one_and_planned_with_it(tmp_path: Path) -> None:
    folder, file = model(tmp_path / "base", None), tmp_path / "mine.jinja"
    file.write_text(TURNS, encoding="utf-8")
    found = tmp_path / "found.yaml"
    found.write_text("behaviour: {unwanted: auto, wanted: auto}\n", encoding="utf-8")
    code, _, told = tried("run", folder, "--dry-run")
    assert code != 0 and "the tokenizer has no chat template" in told and "--template plain" in told
    # The words that come with the model are cut otherwise where none of its own marks stands before them.
    for given, name, begins, refused in (
        ("plain", "plain", "Be kind.\n\nUser:\n", "share a first token"),
        (file, "given", "system: Be kind.\n", "merges the end of the prompt"),
    ):
        dry = ("run", folder, "--dry-run", "--json", "--template", given, "--out", tmp_path / "run")
        code, _, told = tried(*dry)
        assert code == 1 and refused in told
        code, shown, told = tried(*dry, "--config", found)
        assert code == 0, told
        plan = json.loads(shown)
        assert plan["template"] == name and plan["notes"] == []
        assert begins in plan["reference"] and plan["reference"].rstrip().lower().endswith("assistant:")
    assert inspect_model(str(folder), settings_of(str(folder), None, {"template": "plain"})).chat_template


def test_the_text_of_a_template_is_kept_and_its_path_counts_from_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text(TURNS, encoding="utf-8")
    (tmp_path / "settings.yaml").write_text("template: mine.jinja\n", encoding="utf-8")
    assert resolve(str(shipped()["yesman"]), tmp_path / "settings.yaml", {}).template == TURNS
    with pytest.raises(ConfigError, match=r"^template: no such file: .*plaid.* Give own, plain, or the path"):
        settings_of("MODEL", None, {"template": "plaid"})
    with pytest.raises(ConfigError, match="template: input should be a valid string"):
        settings_of("MODEL", None, {"template": 3})
