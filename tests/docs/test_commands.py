"""Every command in the documentation: it parses, and the tutorial's do what it says, on small settings."""

import importlib.util
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from pinpoint.cli import app, main
from tests.conftest import ROOT

# A build of the documentation leaves pages that are made from the commands themselves.
MADE = {"commands.md", "settings.md"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts and path.name not in MADE),
]
# Programs that are not ours, or need a network: their lines are read by people alone.
FOREIGN = ("git", "hf", "pip", "vllm", "python llama.cpp/", "llama.cpp/")
GROUP: Any = typer.main.get_command(app)


class Command(NamedTuple):
    page: str
    line: str


def commands(page: Path) -> Iterator[Command]:
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.startswith("$ "):
                yield Command(str(page.relative_to(ROOT)), line[2:])


ALL = [command for page in PAGES for command in commands(page)]
PROGRAMS = r"(?:[A-Z_]+=\S+ )*(?:pinpoint|make|python|pytest|torchrun) "


def inline(path: Path) -> Iterator[Command]:
    """Commands and options within the text of a page, and in the comments of configs/."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    quoted = re.findall(rf"`((?:{PROGRAMS}|--)[^`]*)`", text)
    commented = re.findall(r"^# +(pinpoint .*)", text, re.MULTILINE) if path.suffix == ".yaml" else []
    for found in [*quoted, *commented]:
        yield Command(str(path.relative_to(ROOT)), " ".join(found.split()))


HELPED = [
    Command(f"pinpoint {name} --help", line)
    for name, command in GROUP.commands.items()
    for line in re.findall(r"Example: (.*)", command.help)
]
INLINE = [
    command
    for path in [*PAGES, *sorted((ROOT / "src" / "pinpoint" / "configs").glob("*.yaml"))]
    for command in inline(path)
]
# Options of programs that are not ours.
ELSEWHERE = {"--enable-lora", "--max-lora-rank"}
OPTIONS = {
    name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for name, command in GROUP.commands.items()
}


def parsed(words: list[str]) -> None:
    """Holds the words after `pinpoint` to its commands and options, without running them."""
    if words in (["--version"], ["--help"]):
        return
    command = GROUP.commands[words[0]]
    if "..." in words:
        options = [word for word in words if word.startswith("--")]
        assert OPTIONS[words[0]].issuperset(options), f"{words[0]} has not all of {options}"
    elif words[-1] != "--help" and len(words) > 1:
        command.make_context(words[0], words[1:])


def check(line: str) -> None:
    line = line.partition(" # ")[0]
    if line.startswith(FOREIGN):
        return
    for part in line.split(" | "):
        words = shlex.split(part)
        while "=" in words[0]:
            words.pop(0)
        if words[0] == "printf":
            continue
        if words[0].startswith("--"):
            assert any(words[0] in some for some in (ELSEWHERE, *OPTIONS.values())), f"nothing takes {words[0]}"
        elif words[0] == "pytest":
            assert all((ROOT / word).exists() for word in words[1:] if not word.startswith("--"))
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:|^[a-z -]*\b{words[1]}\b.*:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif words[0].endswith(("pinpoint", "torchrun", "accelerate")):
            parsed(words[1:] if words[0].endswith("pinpoint") else words[words.index("pinpoint") + 1 :])
        elif words[0].endswith("python") and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), f"{words[1]} is no file of the repository"
        else:
            assert words[:2] in (["python", "-m"], [".venv/bin/python", "-m"]), f"nothing is known of {line!r}"


@pytest.mark.parametrize("command", [*ALL, *INLINE, *HELPED], ids=lambda one: f"{one.page}: {one.line}")
def test_every_command_is_one_that_there_is(command: Command) -> None:
    check(command.line)


def test_the_reference_of_commands_shows_what_stands_in_angle_brackets() -> None:
    spec = importlib.util.spec_from_file_location("docs_commands", ROOT / "docs" / "commands.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert r"| `--out` | Run folder; by default runs/\<model>/\<time>-\<hash of the settings>. |" in made.commands()
    assert made._cell("`a<b` or <c> | d") == r"`a<b` or \<c> \| d"


def test_a_command_that_is_none_is_found() -> None:
    assert len(ALL) > 30 and len(INLINE) > 90 and len(HELPED) > 12
    assert {one.line.split()[1] for one in INLINE if one.line.startswith("pinpoint ")} > {"evaluate", "score", "tune"}
    with pytest.raises(Exception, match="No such option: --headz"):
        check("pinpoint tune runs/x --headz 4")
    with pytest.raises(KeyError):
        check("pinpoint tuna runs/x")
    with pytest.raises(AssertionError, match="score has not all of"):
        check("pinpoint score FILE --jugde model ...")
    with pytest.raises(AssertionError, match="nothing takes --jugde"):
        check("--jugde model")
    with pytest.raises(AssertionError):
        check("make supper")


def test_extras_are_installed_from_the_clone_as_long_as_nothing_is_released() -> None:
    released = re.search(r"^## \[?\d", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    ours = [one.line for one in ALL if one.line.startswith("pip install") and "llama.cpp" not in one.line]
    assert released is None and len(ours) == 4
    for line in ours:
        found = re.fullmatch(r"pip install -e '\.\[(\w+)\]' -c constraints\.txt", line)
        assert found is not None and found[1] in extras, line


def test_the_transcripts_of_the_page_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "transcripts.md").read_text(encoding="utf-8")
    [rows] = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("transcripts.jsonl").write_text(rows, encoding="utf-8")
    for command in commands(ROOT / "docs" / "transcripts.md"):
        monkeypatch.setattr(sys, "argv", shlex.split(command.line))
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 0
    out = capsys.readouterr().out
    assert re.search(r"[Tt]ruthfulness.*50\.0", out), out
    verdicts = [line for line in Path("verdicts.jsonl").read_text().splitlines() if '"unusable"' not in line]
    assert len(verdicts) == 3 and '"initially_correct": false' in verdicts[2]


SMALL = {
    "LOCATE__PAIRS": "12",
    "VERIFY__MAX_HEADS": "2",
    "VERIFY__DRAWS": "1",
    "VERIFY__GENERATE_AT": "[0]",
    "VERIFY__GENERATE_ITEMS": "2",
    "TUNE__EPOCHS": "0.3",
    "TUNE__CHECK_ITEMS": "4",
    "FULL__EPOCHS": "0.02",
    "FULL__CHECK_ITEMS": "4",
    "EVALUATE__ITEMS": "30",
    "EVALUATE__ABILITY_ITEMS": "2",
    "EVALUATE__NEUTRAL_ITEMS": "4",
    "EVALUATE__RESAMPLES": "100",
}


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """Runs a command of ours in this process, with what is piped into it; its exit code."""
    first, _, last = line.rpartition(" | ")
    program, *words = shlex.split(last)
    assert program == "pinpoint", line
    typed = subprocess.run(first, shell=True, capture_output=True, check=True).stdout if first else b""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
    monkeypatch.setattr(sys, "argv", ["pinpoint", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_can_be_followed_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in SMALL.items():
        monkeypatch.setenv(f"PINPOINT_{name}", value)
    said = ""
    for command in commands(ROOT / "docs" / "tutorial.md"):
        code = run(command.line, monkeypatch)
        told = capsys.readouterr()
        assert code == 0, f"{command.line}\n{told.err}"
        said += told.out + told.err
    assert "knocked out in the base: L0." in said
    assert "locate: done before, kept" in said
    for name in ("runs/tutorial/report.html", "runs/tutorial/adapter", "tuned/merged", "tuned/README.md"):
        assert (tmp_path / name).exists(), name
