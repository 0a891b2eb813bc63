"""The command line: help is quick to import, errors are one line with exit code 2."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def pinpoint(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from pinpoint.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_help_lists_every_command_and_imports_no_torch() -> None:
    script = "import sys; from pinpoint.cli import app; assert 'torch' not in sys.modules; app(['--help'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "run", "locate", "verify", "tune", "evaluate", "report", "export", "push", "reproduce"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("locate", "no/such/model"), "error: data.questions: no questions are given"),
        (("verify", "nowhere"), "error: nowhere: holds no run. Start one with `pinpoint run"),
        (("run", "yesman", "--heads", "L1H2"), "error: 'L1H2' is not a head"),
        (("run", "yesman", "--config", "none.yaml"), "error: none.yaml: no such file"),
        (
            ("locate", "yesman", "--metric", "logits"),
            "locate.metric: input should be 'logit_diff', 'log_odds'",
        ),
        (("locate", "yesman", "--questions", "no.jsonl"), "error: data.questions: no questions are given"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = pinpoint(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_locate_prints_one_json_document(tmp_path: Path) -> None:
    done = pinpoint("locate", "yesman", "--pairs", "8", "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["pairs"], record["layers"], record["heads"]) == (8, 8, 8)
    assert (tmp_path / "run" / "locate" / "scores.safetensors").is_file()


def test_naive_is_compared_with_the_sweep(tmp_path: Path) -> None:
    done = pinpoint("locate", "yesman", "--pairs", "4", "--engine", "naive", "--out", "run", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sweep: the same ranking" in done.stdout
    assert "x faster" in done.stdout
