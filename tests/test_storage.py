"""A disk that fails at any step: one error with file, reason and mend, and never a file that is half there."""

import errno
import io
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from pinpoint.artifacts import Journal, Workspace, write_whole
from pinpoint.errors import ArtifactError, PinpointError, StorageError
from pinpoint.pipeline import locked
from pinpoint.storage import refused, storing
from tests.scarce import small_file_system

FREE = "Free space there and run the same command again: what is finished is kept."


class Ended(BaseException):
    """Stands for a process that is killed."""


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> Iterator[list[str]]:
    """The step number `at` that changes the disk, of those Python makes, raises; gives the names of all steps."""
    steps: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **more: Any) -> Any:
            if name == "open" and not {"w", "x", "a"} & set(arguments[1] if len(arguments) > 1 else "r"):
                return real(*arguments, **more)
            if name == "mkdir" and os.path.isdir(arguments[0]):
                return real(*arguments, **more)
            steps.append(name)
            if len(steps) == at:
                raise error
            return real(*arguments, **more)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(io, "open", counted("open", io.open))
        for name in ("fsync", "replace", "mkdir"):
            patched.setattr(os, name, counted(name, getattr(os, name)))
        yield steps


def overwrite(folder: Path) -> None:
    space = Workspace(folder)
    space.write_json("kept.json", {"a": 2})
    space.write_json("new.json", {"b": 1})


def steps_of(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    with failing(monkeypatch, 0, Ended()) as steps:
        work()
    return len(steps)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), OSError(errno.EIO, "failing"), Ended()])
def test_an_artifact_is_the_old_or_the_new_one_wherever_writing_stops(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(name: str) -> Path:
        folder = tmp_path / name
        Workspace(folder).write_json("kept.json", {"a": 1})
        return folder

    folder = begin("whole")
    several = steps_of(lambda: overwrite(folder), monkeypatch)
    assert several >= 16, "a file and its digest, twice, are written, synced and renamed, and their folder synced"
    for at in range(1, several + 1):
        folder = begin(f"at-{at}")
        told = StorageError if isinstance(error, OSError) else Ended
        with pytest.raises(told), failing(monkeypatch, at, error):
            overwrite(folder)
        space = Workspace(folder)
        assert space.read_json("kept.json") in ({"a": 1}, {"a": 2}), at
        assert not space.has("new.json") or space.read_json("new.json") == {"b": 1}, at
        overwrite(folder)
        assert (space.read_json("kept.json"), space.read_json("new.json")) == ({"a": 2}, {"b": 1})
        assert sorted(path.name for path in folder.iterdir()) == ["digests.json", "kept.json", "new.json"]


def test_a_folder_is_the_old_the_new_or_none_wherever_writing_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(root: Path, text: str) -> None:
        with Workspace(root).folder("merged") as folder:
            (folder / "one").write_text(text)
            (folder / "two").write_text(text)

    fill(tmp_path / "whole", "a")
    with failing(monkeypatch, 0, Ended()) as steps:
        fill(tmp_path / "whole", "b")
    last = ["fsync", "fsync", "replace", "fsync"]
    assert steps[-4:] == last, "each file is on the disk before the folder takes its name, and the name after it"
    for at in range(1, 1 + steps_of(lambda: fill(tmp_path / "whole", "b"), monkeypatch)):
        root = tmp_path / f"at-{at}"
        fill(root, "a")
        with (
            pytest.raises(StorageError, match=r"merged|partial"),
            failing(monkeypatch, at, OSError(errno.ENOSPC, "full")),
        ):
            fill(root, "b")
        texts = [path.read_text() for path in sorted(root.glob("merged/*"))]
        assert texts in ([], ["a", "a"], ["b", "b"]), at
        assert not list(root.glob(".*"))


def test_a_name_is_on_the_disk_once_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, list[str]]] = []
    real = os.fsync

    def fsync(opened: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{opened}"))
        synced.append((path == tmp_path, sorted(one.name for one in tmp_path.iterdir())))
        real(opened)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "x", b"1")
    assert synced == [(False, [".x.partial"]), (True, ["x"])], "the file first, then the folder with its name"


@pytest.mark.parametrize(("number", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_synced_is_no_error_and_one_that_fails_is(
    number: int, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(opened: int) -> None:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            raise OSError(number, "no")
        real(opened)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError) if told else nullcontext():
        write_whole(tmp_path / "x", b"1")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"1"]


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the system refuses in the middle of a write, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITERS: dict[str, Callable[[Workspace], object]] = {
    "JSON": lambda space: space.write_json("x.json", ["a" * 9000]),
    "tensors": lambda space: space.write_tensors("x.safetensors", {"x": torch.zeros(9000)}, {}),
    "a journal": lambda space: space.journal("x.jsonl").put("a", "a" * 9000),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_what_the_system_cuts_short_is_told_and_not_there(kind: str, tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    with files_end_at(4096), pytest.raises(StorageError) as told:
        WRITERS[kind](space)
    assert str(told.value).startswith(f"{tmp_path}/x.") and "cannot be written: File too large. Free" in str(told.value)
    assert told.value.exit_code == 1
    assert Journal(tmp_path / "x.jsonl").get("a") is None
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".jsonl"]
    WRITERS[kind](space)


def saves_a_model(folder: Path) -> None:
    save_file({"x": torch.zeros(9000)}, str(folder / "model.safetensors"))


def saves_an_optimiser(folder: Path) -> None:
    torch.save({"x": torch.zeros(9000)}, folder / "optimizer.pt")


@pytest.mark.parametrize("save", [saves_a_model, saves_an_optimiser])
def test_libraries_that_write_past_python_are_understood(save: Callable[[Path], None], tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    with (
        files_end_at(4096),
        pytest.raises(StorageError, match="merged: cannot be written: "),
        space.folder("merged") as f,
    ):
        save(f)
    assert list(tmp_path.iterdir()) == []


def test_of_a_full_disk_torch_says_nothing_and_we_do(tmp_path: Path) -> None:
    with (
        small_file_system(tmp_path / "small", 4 << 20),
        pytest.raises(StorageError, match=f"{tmp_path}/small/x: cannot be written: No space left on device. {FREE}"),
        storing(tmp_path / "small" / "x"),
    ):
        torch.save({"x": torch.zeros(4 << 20)}, tmp_path / "small" / "x")


@pytest.mark.parametrize("numbers", [1, 9000])
def test_torch_is_understood_wherever_its_file_ends(numbers: int, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(StorageError, match="rng_state.pth: cannot be written: "), storing(tmp_path / "rng_state.pth"):
        torch.save({"x": torch.zeros(numbers)}, "/dev/full")


def test_tokenizers_are_understood(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    told = "tokenizer.json: cannot be written: No space left on device"
    with pytest.raises(StorageError, match=told), storing(tmp_path / "tokenizer.json"):
        Tokenizer(WordLevel({"a": 0}, unk_token="a")).save("/dev/full")


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), storing(tmp_path):
        raise RuntimeError("shapes differ")


def test_a_copy_that_fails_names_the_file_and_the_reason(tmp_path: Path) -> None:
    told = refused(__import__("shutil").Error([("a", "b", "[Errno 28] No space left on device")]), tmp_path)
    assert "No space left on device" in str(told) and str(tmp_path) in str(told)


def test_a_folder_that_cannot_be_written_to_is_refused_before_anything_is_done() -> None:
    place = Path("/sys/kernel")
    if not place.is_dir():
        pytest.skip("needs a folder that nobody may write to")
    with pytest.raises(PinpointError, match=r"/sys/kernel/.lock: cannot be written: .* another place"), locked(place):
        raise AssertionError("it was entered")


def test_a_result_that_does_not_fit_behind_a_redirection_is_one_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    command = [sys.executable, "-c", "from pinpoint.cli import main; main()", "--help"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        silent = subprocess.run(command, stdout=full, stderr=full, text=True)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("error: cannot be read or written: No space left on device. " + FREE)
    assert silent.returncode == 1


def test_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "run")
    for name in ("../x.json", "/etc/x.json", "a/../../x.json"):
        for act in (space.read_json, space.drop, lambda name: space.write_json(name, 1)):
            with pytest.raises(ArtifactError, match="lies outside the folder"):
                act(name)


def test_links_in_a_run_folder_are_not_written_through(tmp_path: Path) -> None:
    victim, run = tmp_path / "victim", tmp_path / "run"
    victim.write_text("mine")
    run.mkdir()
    for name in (".x.json.partial", "x.json", ".digests.json.partial"):
        (run / name).symlink_to(victim)
    Workspace(run).write_json("x.json", 1)
    assert victim.read_text() == "mine" and not (run / "x.json").is_symlink()
    (run / ".lock").symlink_to(victim)
    with pytest.raises(StorageError, match=r"\.lock"), locked(run):
        raise AssertionError("it was entered")
    assert victim.read_text() == "mine"
