"""One kill and one full disk, as a fast slice of what tests/torture does at length."""

import errno
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from pinpoint.config import of_run, resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from tests.command import said
from tests.test_storage import failing


def test_locating_that_was_killed_goes_on_and_gives_the_scores_of_an_undisturbed_run(tmp_path: Path) -> None:
    folder, few = tmp_path / "killed", {"device": "cpu", "locate": {"pairs": 4, "batch_size": 1, "noise_pairs": 0}}
    settings = tmp_path / "settings.yaml"
    settings.write_text("device: cpu\nlocate: {pairs: 4, batch_size: 1, noise_pairs: 0}\n")
    command = ["from pinpoint.cli import main; main()", "locate", "yesman", "--config", str(settings)]
    process = subprocess.Popen([sys.executable, "-c", *command, "--out", str(folder), "-q"], stderr=subprocess.PIPE)
    while process.poll() is None and not list(folder.glob("partial/locate-*/*.safetensors")):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == -signal.SIGKILL and not (folder / "locate").exists(), told
    kept = list(folder.glob("partial/locate-*/*.safetensors"))
    assert kept, "a batch was finished"
    Run(resolve(str(shipped()["yesman"]), None, few), folder).do("locate")
    Run(resolve(str(shipped()["yesman"]), None, few), tmp_path / "whole").do("locate")
    killed, whole = (load_file(str(tmp_path / name / "locate" / "scores.safetensors")) for name in ("killed", "whole"))
    assert killed.keys() == whole.keys() and all(bool((killed[key] == whole[key]).all()) for key in whole)
    assert not (folder / "partial").exists()


def test_a_page_that_meets_a_full_disk_leaves_the_one_before(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    page = (folder / "report.html").read_bytes()
    with failing(monkeypatch, 0, OSError()) as steps:
        Run(of_run(folder), folder).report()
    assert "replace" in steps
    for at in (1, 1 + steps.index("replace")):
        (folder / "report.html").write_bytes(page)
        with failing(monkeypatch, at, OSError(errno.ENOSPC, "No space left on device")):
            code, out, err = said(["report", str(folder), "-q"], monkeypatch, capsys)
        assert (code, out, err.count("error: ")) == (1, "", 1), err
        assert "No space left on device. Free space there and run the same command again" in " ".join(err.split())
        assert (folder / "report.html").read_bytes() == page and not list(folder.glob(".*.partial"))
