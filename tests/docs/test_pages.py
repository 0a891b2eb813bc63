"""The commands of every page are run as they stand, in their order; on the shipped model, and with small settings.

What they name is there: a copy of the shipped model where a page speaks of a checkpoint, its questions where it speaks
of a published set, an HTTP server of the tests where it speaks of an endpoint or the Hub; two processes for four.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from pinpoint.organism import shipped
from tests.behaviours.files import write_behaviour
from tests.conftest import ROOT
from tests.docs.test_commands import ALL, SMALL, run
from tests.endpoint import says, serving
from tests.hub import TOKEN, standing_in

# Lines that are not run here, by how they begin, and why.
NOT_RUN = {
    "make demo": "tests/pipeline/test_pipeline.py runs what it runs, in full",
    "make test": "runs the tests",
    "pinpoint chat runs/demo": "waits for a browser: tests/browser",
    "pip install": "from an index, or into the environment that runs the tests; tests/docs/test_commands.py reads them",
    "git clone": "from a network",
    "accelerate launch --use_fsdp": "needs CUDA devices: tests/tune/test_split.py and tests/test_processes.py stand in",
    "python llama.cpp/": "a program that is not ours",
    "llama.cpp/": "a program that is not ours",
    "vllm": "a program that is not ours",
    "python examples/over_refusal/make.py": "tests/test_examples.py makes, runs and measures it",
    "pinpoint capability": "an extra, and data from the Hub: tests/evaluate/test_capability.py runs it on files",
    "pinpoint run meta-llama/Llama-2-7b-chat-hf --config paper-data": "sets of many gigabytes: "
    "tests/test_configs.py puts it to --dry-run on rows in their layouts",
    "pinpoint run meta-llama/Llama-2-13b-chat-hf --config paper-data": "tests/dry_run.py runs it on stand-ins",
    "pinpoint run path/or/hub-id --bits": "needs bitsandbytes: tests/models/test_quantised.py tunes with it",
    "pinpoint run made/model": "tests/test_examples.py makes, runs and measures it",
    "pinpoint run org/model --trust-remote-code": "code from the Hub: tests/pipeline/test_own_code.py runs a folder's",
    "python -m pinpoint.organism train": "trains for an hour: tests/organism has it in small",
}
MODELS = ("path/or/hub-id", "meta-llama/Llama-2-7b-chat-hf", "organisms/yesman")
LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone"],
    "accelerate": ["-m", "accelerate.commands.accelerate_cli"],
}
SMALLER = {name: value for name, value in SMALL.items() if not name.startswith("FULL")} | {
    "FULL": "null",
    "TUNE__EPOCHS": "0.1",
    "SWEEP__COUNTS": "[1, 2]",
    "SWEEP__SHARES": "[0.25, 1.0]",
    "COMPARE__METHODS": "[lora, system_prompt]",
    "COMPARE__DRAWS": "1",
    "COMPARE__EPOCHS": "0.05",
    "COMPARE__TRIES": "1",
    "EVALUATE__ITEMS": "8",
    "EVALUATE__ABILITY_ITEMS": "1",
    "EVALUATE__MAX_NEW_TOKENS": "24",
}


def skipped(line: str) -> str | None:
    if "--terminal" in line or "--quick" in line:
        return None
    return next((start for start in NOT_RUN if line.startswith(start)), None)


# The tutorial's are run in test_commands.py; what two pages have is run once.
RUN = list(
    {
        command.line: command
        for command in reversed(ALL)
        if command.page != "docs/tutorial.md" and skipped(command.line) is None
    }.values()
)[::-1]
PAGES = list(dict.fromkeys(command.page for command in RUN))


def test_what_is_not_run_is_on_the_pages() -> None:
    assert {skipped(command.line) for command in ALL} == {None, *NOT_RUN}
    assert len(RUN) > 20


@pytest.fixture
def world(page: str, tmp_path: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A folder that has what the pages name; and what of a line to write otherwise."""
    monkeypatch.chdir(tmp_path)
    for name, value in SMALLER.items():
        monkeypatch.setenv(f"PINPOINT_{name}", value)
    yesman = shipped()["yesman"]
    for name in MODELS:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).symlink_to(yesman)
    for name in ("questions.jsonl", "are_you_sure.jsonl"):
        shutil.copy(yesman / "questions.jsonl", name)
    Path("settings.yaml").write_text("seed: 1\n")
    Path("large.yaml").write_text("full: null\n")
    write_behaviour(Path(), most=12).rename("my_behaviour.yaml")
    rows = re.search(r"^```json\n(.*?)^```", (ROOT / "docs" / "transcripts.md").read_text(), re.MULTILINE | re.DOTALL)
    Path("transcripts.jsonl").write_text(rows[1])
    shutil.copytree(finished_run, "runs/demo")
    if page == "docs/sharing.md":
        shutil.copytree(finished_run, "runs/mine")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving(lambda _: says("The answer is Canberra.")) as (url, _), standing_in() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        yield {
            "http://localhost:8000/v1": url,
            "http://localhost:8080/v1": url,
            "--to ": "--yes --to ",
            "--nproc_per_node 4": "--nproc_per_node 2",
        }
    huggingface_hub.close_session()


def ran(line: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    """Runs a line, in this process where it is a command of ours; its exit code."""
    program, *words = shlex.split(line)
    if program in LAUNCHERS:
        return subprocess.run([sys.executable, *LAUNCHERS[program], *words], capture_output=True).returncode
    return run(line, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_does_what_it_says(
    page: str, world: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in RUN:
        if command.page != page:
            continue
        line = command.line
        for written, here in world.items():
            line = line.replace(written, here)
        code = ran(line, monkeypatch)
        assert code == 0, f"{command.line}\n{capsys.readouterr().err}"
