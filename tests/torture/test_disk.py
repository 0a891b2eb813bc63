"""A disk that is full or fails at any change of the run folder: one error, and the next run ends as if undisturbed.

`make torture` has TORTURE_FAULTS changes fail (60), by both kinds of fault in every stage; the suite, a few. A full
disk (ENOSPC) stays full for the rest of the command, with half of the first refused write on it; a failing one (EIO)
fails once; a read-only one (EROFS) from the start. Where a file system may be mounted, some are really full.
"""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench._record import Conditions
from tests.conftest import ROOT
from tests.scarce import small_file_system
from tests.torture.disk import Disk, Ended, failing_disk
from tests.torture.test_kills import same
from tests.torture.texts import questions_without_wrong_answers

SETTINGS = """\
device: cpu
data: {{questions: {questions}}}
locate: {{pairs: 4, batch_size: 2}}
verify: {{max_heads: 1, draws: 1, generate_at: [0], generate_items: 2}}
tune:
  {{heads: 2, epochs: 1, check_every: 2, check_items: 2, batch_size: 8,
    explanations: model, explanation_tokens: 8, wrong_answers: model}}
full: {{epochs: 0.5, check_every: 2, check_items: 2, batch_size: 8, learning_rate: 1.0e-5}}
evaluate: {{items: 4, ability_items: 1, neutral_items: 2, batch_size: 4, max_new_tokens: 12, resamples: 100}}
"""
TRAINED = 24  # questions that are trained on
FAULTS = int(os.environ.get("TORTURE_FAULTS", "3"))
FULL = (0.02, 0.2, 0.5, 0.8, 1.0) if "TORTURE_FAULTS" in os.environ else (0.5,)
"""Shares of what the whole run folder takes that there is room for."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"),
]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    with failing_disk(tmp_path_factory.mktemp("shim")) as started:
        yield started


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The run that is tried, but for the place of its folder."""
    place = tmp_path_factory.mktemp("settings")
    questions = questions_without_wrong_answers(place / "questions.jsonl", TRAINED)
    (place / "settings.yaml").write_text(SETTINGS.format(questions=questions))
    return ["run", "yesman", "--config", str(place / "settings.yaml"), "--out"]


class Whole(NamedTuple):
    """A run that nothing disturbed."""

    folder: Path
    ended: Ended

    def changes(self) -> dict[str, int]:
        """How many changes of the folder each stage asks for."""
        begins = [*self.ended.stages.values(), self.ended.changes]
        return {stage: end - begin for stage, (begin, end) in zip(self.ended.stages, pairwise(begins), strict=True)}


@pytest.fixture(scope="module")
def whole(disk: Disk, command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole") / "run"
    ended = disk.run([*command, str(folder)], folder)
    assert ended.code == 0, ended.err
    return Whole(folder, ended)


def told_once(ended: Ended, folder: Path) -> None:
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert ended.code in (1, 2) and "Traceback" not in ended.err, (ended.met, ended.err)
    assert len(errors) == 1 and errors[0].startswith(f"error: {folder}"), ended.err
    assert any(mend in errors[0] for mend in ("run the same command again", "another place", "another --out")), errors
    assert not ended.out


def like(folder: Path, whole: Path) -> None:
    same(folder, whole)
    assert not [path for path in folder.rglob(".*") if path.name != ".lock"]


def noted(**found: Any) -> None:
    """Adds to the record, where what was asked for is the whole of it."""
    if "TORTURE_FAULTS" in os.environ:
        path = ROOT / "bench/results/disk.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | found, indent=1) + "\n")


def test_a_disk_that_fails_anywhere_costs_one_command_and_nothing_else(
    disk: Disk, command: list[str], whole: Whole, tmp_path: Path
) -> None:
    conditions, rng = Conditions(), random.Random(int(os.environ.get("TORTURE_SEED", "0")))
    changes = whole.changes()
    kinds = [(error, stage) for stage in changes for error in (errno.ENOSPC, errno.EIO)]
    rng.shuffle(kinds)
    met: Counter[str] = Counter()
    again = 0
    for number in range(FAULTS):
        folder = tmp_path / f"faulty-{number}"
        error, stage = kinds[number % len(kinds)]
        at = rng.randint(1, changes[stage])
        ended = disk.run([*command, str(folder)], folder, at, error, stage=stage, stays=error == errno.ENOSPC)
        told_once(ended, folder)
        met[f"{errno.errorcode[error]} in {ended.stage}"] += 1
        if number % 3 == 2:  # a second fault, which hits the run that goes on
            stage = rng.choice(list(changes))
            second = disk.run([*command, str(folder)], folder, rng.randint(1, changes[stage]), error, stage=stage)
            if second.code:
                told_once(second, folder)
                again += 1
        last = disk.run([*command, str(folder)], folder)
        assert last.code == 0, last.err
        like(folder, whole.folder)
        shutil.rmtree(folder)
    if len(kinds) <= FAULTS:
        assert set(met) == {f"{errno.errorcode[error]} in {stage}" for error, stage in kinds}
    where = {f"{errno.errorcode[e]} in {s}": met[f"{errno.errorcode[e]} in {s}"] for e, s in sorted(kinds)}
    noted(faults=FAULTS, again=again, changes=whole.ended.changes, where=where, conditions=conditions.told())


def test_a_file_system_that_is_full_costs_one_command_and_nothing_else(
    disk: Disk, command: list[str], whole: Whole, tmp_path: Path
) -> None:
    if shutil.which("mount") is None:
        pytest.skip("no file system can be mounted here: there is no `mount`")
    taken = sum(path.stat().st_size for path in whole.folder.rglob("*") if path.is_file())
    found = {}
    for number, share in enumerate(FULL):
        place = tmp_path / f"small-{number}"
        folder = place / "run"
        with small_file_system(place, int(share * taken)):
            ended = disk.run([*command, str(folder)], folder)
            told_once(ended, folder)
            assert "No space left on device. Free space there" in ended.err
            found[str(share)] = ended.stage
            subprocess.run(["mount", "-o", f"remount,size={8 * taken}", str(place)], check=True)
            last = disk.run([*command, str(folder)], folder)
            assert last.code == 0, last.err
            like(folder, whole.folder)
    noted(full=found)


def test_a_run_folder_that_is_read_only_is_refused_at_once(disk: Disk, command: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    ended = disk.run([*command, str(folder)], folder, 1, errno.EROFS, stays=True)
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
