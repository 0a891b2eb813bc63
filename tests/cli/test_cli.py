"""The command line: help is quick to import, errors are one line with exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app, main
from pinpoint.errors import CheckFailed, ConfigError
from tests.command import said


def pinpoint(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from pinpoint.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_help_lists_every_command_and_imports_no_torch() -> None:
    script = "import sys; from pinpoint.cli import app; assert 'torch' not in sys.modules; app(['--help'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "run", "locate", "verify", "tune", "evaluate", "report", "export", "push", "reproduce"):
        assert command in done.stdout


NO_TELEMETRY = """
import os, sys
import pinpoint.cli
assert not {"huggingface_hub", "gradio"} & set(sys.modules), "they read the variables as they are imported"
assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
from huggingface_hub.utils import _telemetry, send_telemetry
send_telemetry("trl/sft")
assert _telemetry._TELEMETRY_THREAD is None and _telemetry._TELEMETRY_QUEUE.empty()
"""


def test_no_library_of_the_command_tells_its_makers_of_its_use() -> None:
    free = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    free |= {"HF_HUB_DISABLE_TELEMETRY": "0", "GRADIO_ANALYTICS_ENABLED": "True", "HF_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", NO_TELEMETRY], env=free, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_lists_commands_and_options_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    every = CliRunner().invoke(app, ["--help"]).stdout
    places = [every.index(text) for text in ("─ Begin here ", " demo ", " run ", "─ One stage at a time ", " locate ")]
    assert places == sorted(places) and "─ Commands " not in every, "each command is in a group"
    options = CliRunner().invoke(app, ["run", "--help"]).stdout
    assert "{MODEL}" in options
    for panel, option in (("Tuning", "--heads"), ("The model", "--dtype"), ("Judging replies", "--judge-model")):
        assert option in options.partition(f"─ {panel} ")[2].partition("╰")[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("locate", "no/such/model"), "error: no/such/model: no such folder. Give a folder of a model, a Hub id"),
        (("run", "yesmen"), "error: yesmen: no such folder (did you mean 'yesman'?)."),
        (("locate", "org/name", "--questions", "no.jsonl"), "error: data.questions: no such file or folder"),
        (("verify", "nowhere"), "error: nowhere: holds no run. Start one with `pinpoint run"),
        (("run", "yesman", "--heads", "L1H2"), "error: 'L1H2' is not a head"),
        (("run", "yesman", "--config", "none.yaml"), "error: none.yaml: no such file"),
        (
            ("locate", "yesman", "--metric", "logits"),
            "locate.metric: input should be 'logit_diff', 'log_odds'",
        ),
        (
            ("locate", "yesman", "--contrasts", "neutral, polar"),
            "locate.contrasts.1: input should be 'affirmed', 'neutral' or 'wrong_first'",
        ),
        (("locate", "yesman", "--questions", "no.jsonl"), "error: data.questions: no such file or folder"),
        (
            ("sweep", "yesman", "--over", "head"),
            "error: --over: sweep 'head' is unknown. Use some of heads, data, pairs",
        ),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pinpoint", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert message in told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


TOGETHER = {
    "flags": (
        ("--heads", "L1H2,L3.H1,L4", "--projections", "q", "--thinking", "maybe"),
        (
            "'L1H2' is not a head",
            "'L4' is not a head",
            "--projections: 'q' is neither",
            "--thinking: 'maybe' is neither",
        ),
    ),
    "files": (
        ("--questions", "no.jsonl", "--phrasings", "none.jsonl", "--sycon", "nothing"),
        (
            "/no.jsonl",
            "/none.jsonl: no such file",
            "data.sycon: ",
        ),
    ),
}


@pytest.mark.parametrize("what", TOGETHER)
def test_what_is_wrong_is_told_at_once(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags, messages = TOGETHER[what]
    code, shown, told = said(["run", "yesman", *flags], monkeypatch, capsys)
    assert (code, shown, told.count("error: ")) == (2, "", 1)
    lines = told.splitlines()
    assert len(lines) == len(messages)
    assert all(message in line for message, line in zip(messages, lines, strict=True)), told


CHEAP = (
    ("verify", "nowhere"),
    ("report", "nowhere"),
    ("export", "nowhere"),
    ("chat", "no/such/folder", "--terminal"),
    ("check", "./nowhere"),
    ("score", "none.jsonl"),
    ("reproduce", "none.json"),
    ("run", "yesman", "--config", "none.yaml"),
    ("run", "yesman", "--questions", "none.jsonl", "--require", "kl<=1"),
    ("run", "yesman", "--behaviour", "none.yaml", "--dry-run"),
    ("locate", "yesman", "--metric", "logits"),
    ("compare", "yesman", "--heads", "L1H2"),
    ("sweep", "yesman", "--shares", "half"),
    ("evaluate", "--endpoint", "http://localhost:1/v1", "--model", "m", "--questions", "none.jsonl"),
)
TOLD_AT_ONCE = f"""
import sys
from pinpoint.cli import main
for arguments in {CHEAP!r}:
    sys.argv = ["pinpoint", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert ended.code == 2, arguments
    heavy = {{"torch", "transformers", "huggingface_hub"}} & set(sys.modules)
    assert not heavy, (arguments, heavy)
"""


def test_what_cheap_checks_find_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TOLD_AT_ONCE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: ") == len(CHEAP)


def test_bad_input_ends_the_process_with_exit_code_2(tmp_path: Path) -> None:
    done = pinpoint("verify", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: nowhere: holds no run.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sweep", "yesman", "--counts", "100"), "100 heads are more than the 64 there are"),
        (("locate", "yesman", "--method", "probe", "--set", "2"), "--set: a set is searched by path patching"),
        (("locate", "yesman", "--method", "random", "--stability"), "--stability: a random order depends on its seed"),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_is_located(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run"), "-q"])
    assert isinstance(done.exception, ConfigError) and message in str(done.exception)
    assert not (tmp_path / "run" / "locate").exists()


def test_locate_prints_one_json_document(tmp_path: Path) -> None:
    done = pinpoint("locate", "yesman", "--pairs", "8", "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["pairs"], record["layers"], record["heads"]) == (8, 8, 8)
    assert (tmp_path / "run" / "locate" / "scores.safetensors").is_file()
    log = (tmp_path / "run" / "run.log").read_text()
    assert "Z run folder: run\n" in log and "Z loading " in log and "stopped" not in log


def test_locate_prints_other_nodes_and_how_good_an_estimate_is(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["locate", "yesman", "--pairs", "4", "-q", *arguments])
        assert done.exit_code == 0, done.output
        return " ".join(done.stdout.split())

    nodes = said("--nodes", "heads, mlps", "--out", str(tmp_path / "nodes"))
    assert "direct effect by path patching, sweep" in nodes
    assert "of 8 other nodes" in nodes and "L0.MLP" in nodes
    estimate = said("--method", "attribution", "--exact-pairs", "2", "--out", str(tmp_path / "estimate"))
    assert "against the exact effects on 2 pairs (total effect by activation patching, last position" in estimate
    assert "rank correlation 0." in estimate and "of the top 10 shared, sizes off by" in estimate
    record = json.loads(
        CliRunner()
        .invoke(
            app,
            [
                "locate",
                "yesman",
                "--pairs",
                "4",
                "-q",
                "--nodes",
                "heads,mlps",
                "--out",
                str(tmp_path / "nodes"),
                "--json",
            ],
        )
        .stdout
    )
    assert len(record["beyond_heads"]["nodes"]) == 8 and record["method"] == "path"


@pytest.mark.slow
def test_naive_is_compared_with_the_sweep(tmp_path: Path) -> None:
    done = pinpoint("locate", "yesman", "--pairs", "4", "--engine", "naive", "--out", "run", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sweep: the same ranking" in done.stdout
    assert "x faster" in done.stdout


def test_an_engine_that_is_off_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.pipeline._one_pair._LIMIT", 0.0)
    with pytest.raises(CheckFailed, match=r"yesman: the sweep and brute force differ by .* Use --engine naive"):
        CliRunner().invoke(app, ["check", "yesman", "--verify", "--device", "cpu"], catch_exceptions=False)
