"""A disk that is full or fails at any change of the run folder: one error, and the next run ends as if undisturbed.

`make torture` has TORTURE_FAULTS changes fail (60); the suite, a few. A full disk (ENOSPC) stays full for the rest of
the command, with half of the first refused write on it; a failing one (EIO) fails once; a read-only one (EROFS) from
the start.
"""

import errno
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.torture.disk import Disk, Ended, failing_disk
from tests.torture.test_kills import results

SETTINGS = """\
device: cpu
locate: {pairs: 4, batch_size: 2}
verify: {max_heads: 1, draws: 1, generate_at: [0], generate_items: 2}
tune: {heads: 2, epochs: 0.1, check_every: 2, check_items: 2, batch_size: 8}
full: {epochs: 0.05, check_every: 2, check_items: 2, batch_size: 8, learning_rate: 1.0e-5}
evaluate: {items: 4, ability_items: 1, neutral_items: 2, batch_size: 4, max_new_tokens: 12, resamples: 100}
"""
FAULTS = int(os.environ.get("TORTURE_FAULTS", "3"))
WEIGHTS = ("adapter/adapter_model.safetensors", "merged/model.safetensors", "full/merged/model.safetensors")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with failing_disk(tmp_path_factory.mktemp("shim")) as started:
        yield started


def command(folder: Path) -> list[str]:
    settings = folder.parent / "settings.yaml"
    settings.write_text(SETTINGS)
    return ["run", "yesman", "--config", str(settings), "--out", str(folder)]


def told_once(ended: Ended, folder: Path) -> None:
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert ended.code in (1, 2) and "Traceback" not in ended.err, (ended.met, ended.err)
    assert len(errors) == 1 and errors[0].startswith(f"error: {folder}"), ended.err
    assert any(mend in errors[0] for mend in ("run the same command again", "another place", "another --out")), errors
    assert not ended.out


def same(folder: Path, whole: Path) -> None:
    assert results(folder) == results(whole)
    for name in WEIGHTS:
        ours, theirs = load_file(str(folder / name)), load_file(str(whole / name))
        assert all(bool((ours[key] == theirs[key]).all()) for key in theirs), name
    assert not list((folder / "partial").iterdir())
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]


def test_a_disk_that_fails_anywhere_costs_one_command_and_nothing_else(disk: Disk, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    undisturbed = disk.run(command(whole), whole)
    assert undisturbed.code == 0, undisturbed.err
    rng = random.Random(int(os.environ.get("TORTURE_SEED", "0")))
    met: dict[str, int] = {}
    for number in range(FAULTS):
        folder = tmp_path / f"faulty-{number}"
        error = (errno.ENOSPC, errno.EIO)[number % 2]
        at = rng.randint(1, undisturbed.changes)
        ended = disk.run(command(folder), folder, at, error, stays=error == errno.ENOSPC)
        told_once(ended, folder)
        stage = [line for line in ended.err.splitlines() if line.startswith("[")]
        where = f"{errno.errorcode[error]} in {stage[-1].split()[1].rstrip(':') if stage else 'start'}"
        met[where] = met.get(where, 0) + 1
        # The second fault hits the run that goes on, too.
        again = (
            disk.run(command(folder), folder, rng.randint(1, undisturbed.changes), error) if number % 3 == 2 else None
        )
        if again is not None and again.code:
            told_once(again, folder)
        last = disk.run(command(folder), folder)
        assert last.code == 0, last.err
        same(folder, whole)
        shutil.rmtree(folder)
    if "TORTURE_FAULTS" in os.environ:
        record = {"faults": FAULTS, "changes": undisturbed.changes, "where": met}
        Path("bench/results/disk.json").write_text(json.dumps(record, indent=1) + "\n")


def test_a_run_folder_that_is_read_only_is_refused_at_once(disk: Disk, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    ended = disk.run(command(folder), folder, 1, errno.EROFS, stays=True)
    told_once(ended, folder)
    assert "Read-only file system" in ended.err and list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def done(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done") / "run"
    shutil.copytree(finished_run, folder)
    return folder


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_page_that_cannot_be_written_leaves_the_one_before(done: Path, disk: Disk, number: int) -> None:
    page = (done / "report.html").read_bytes()
    changes = disk.run(["report", str(done)], done).changes
    for at in range(2, changes + 1, 3):
        told_once(disk.run(["report", str(done)], done, at, number, stays=number == errno.ENOSPC), done)
        assert (done / "report.html").read_bytes() == page
    assert disk.run(["report", str(done)], done).code == 0


def test_an_export_that_does_not_fit_is_not_there(done: Path, disk: Disk, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    whole = disk.run(["export", str(done), "--out", str(out)], tmp_path)
    assert whole.code == 0, whole.err
    shutil.rmtree(out)
    for at in random.Random(0).sample(range(1, whole.changes + 1), 4):
        told_once(disk.run(["export", str(done), "--out", str(out)], tmp_path, at, errno.ENOSPC, stays=True), tmp_path)
        assert not out.exists() and not list(tmp_path.glob(".exp*"))
