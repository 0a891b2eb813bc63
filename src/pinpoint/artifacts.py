"""What a stage hands on: safetensors and JSON, written whole or not at all, verified on read."""

import errno
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from pinpoint.errors import ArtifactError
from pinpoint.storage import storing

DIGESTS = "digests.json"
"""The SHA-256 of every artifact of a folder, in that folder."""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_names(folder: Path) -> None:
    """Sees to it that what was renamed in a folder keeps its new name after a power cut."""
    if os.name == "nt":
        return  # folders cannot be opened there
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        # Some file systems cannot sync a folder at all, and refuse to.
        if error.errno not in (errno.EBADF, errno.EINVAL):
            raise
    finally:
        os.close(opened)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all: to a temporary name, synced, renamed, and the folder synced.

    Raises:
        StorageError: it cannot be written; what lies there is whole, what was there before or what was to be.
    """
    partial = path.with_name(f".{path.name}.partial")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Anew: a link that lies there would be written through.
            partial.unlink(missing_ok=True)
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_names(path.parent)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def sync(folder: Path) -> list[Path]:
    """Sees to it that every file below a folder is on the disk, and gives them in order.

    Raises:
        StorageError: one does not get there.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        with storing(path), path.open("rb") as file:
            os.fsync(file.fileno())
    return files


class Workspace:
    """One folder of artifacts: the only place a stage writes to.

    Every file is written to a temporary name, synced and renamed, and its folder synced; its SHA-256 goes to
    `digests.json` of the same folder and is checked when the file is read back. What cannot be written or read is a
    `StorageError`.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def sub(self, name: str) -> "Workspace":
        """The workspace of a stage below this one."""
        return Workspace(self.root / name)

    def path(self, name: str) -> Path:
        """Where the artifact `name` lies.

        Raises:
            ArtifactError: that is not below this workspace.
        """
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtifactError(
                f"{name!r} lies outside the folder.", where=str(self.root), mend="Give a name below it."
            )
        return self.root / name

    def has(self, name: str) -> bool:
        """Whether the artifact `name` is there, whole and recorded."""
        return self.path(name).is_file() and name in self._digests()

    def write_text(self, name: str, text: str) -> Path:
        """Writes text as UTF-8."""
        return self._store(name, text.encode("utf-8"))

    def write_json(self, name: str, value: Any) -> Path:
        """Writes a JSON document; NaN is an error, since JSON has none."""
        return self.write_text(name, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")

    def write_jsonl(self, name: str, rows: list[Any]) -> Path:
        """Writes one JSON document a line."""
        return self.write_text(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Path:
        """Writes tensors as safetensors, with string metadata."""
        whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        return self._store(name, to_safetensors(whole, dict(metadata)))

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """A folder to fill, under a temporary name; it takes its own name when the block ends well, else it goes.

        What was put into it is on the disk before it takes that name.
        """
        partial, target = self.root / f".{name}.partial", self.path(name)
        with storing(target):
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir(parents=True)
                yield partial
                sync(partial)
                shutil.rmtree(target, ignore_errors=True)
                partial.replace(target)
                _sync_names(self.root)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise

    def journal(self, name: str) -> "Journal":
        """Results as they come in, one a line, for a stage to go on from."""
        with storing(self.path(name)):
            self.root.mkdir(parents=True, exist_ok=True)
            return Journal(self.path(name))

    def drop(self, name: str) -> None:
        """Removes a file or folder, if it is there."""
        path = self.path(name)
        with storing(path):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def digests_of(self, names: Sequence[str]) -> dict[str, str]:
        """SHA-256 of every file under `names`, by path below this workspace; what is not there has none."""
        found = {}
        for name in names:
            path = self.path(name)
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    found[file.relative_to(self.root).as_posix()] = file_digest(file)
        return found

    def read_json(self, name: str) -> Any:
        """Reads a JSON document back."""
        return _parsed(self._load(name), self.path(name))

    def read_jsonl(self, name: str) -> list[Any]:
        """Reads a file of one JSON document a line back."""
        # Cut at line feeds alone: JSON strings may hold other separators.
        return [_parsed(line, self.path(name)) for line in self._load(name).split(b"\n") if line]

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Reads tensors and their metadata back.

        Raises:
            ArtifactError: the file is missing, changed or no safetensors file.
        """
        data = self._load(name)
        try:
            with storing(self.path(name), "read"), safe_open(str(self.path(name)), framework="pt") as file:
                metadata = dict(file.metadata() or {})
            return from_safetensors(data), metadata
        except (SafetensorError, ValueError, RuntimeError, LookupError) as error:
            raise ArtifactError(f"is no safetensors file ({error}).", **_lost(self.path(name))) from error

    def _store(self, name: str, data: bytes) -> Path:
        path, digests, new = self.path(name), self._digests(), _digest(data)
        if digests.get(name, new) != new:
            # Whichever of the two files a process that ends in between leaves, it is whole.
            self._record(digests | {name: f"{digests[name]} {new}"})
        write_whole(path, data)
        self._record(digests | {name: new})
        return path

    def _record(self, digests: dict[str, str]) -> None:
        write_whole(self.root / DIGESTS, json.dumps(digests, indent=1, sort_keys=True).encode())

    def _load(self, name: str) -> bytes:
        path = self.path(name)
        if not path.is_file():
            raise ArtifactError("is missing.", where=str(path), mend="Run the stage that writes it first.")
        with storing(path, "read"):
            data = path.read_bytes()
        if _digest(data) not in self._digests().get(name, "").split():
            raise ArtifactError("does not match its recorded digest: it was changed or cut short.", **_lost(path))
        return data

    def _digests(self) -> dict[str, str]:
        path = self.root / DIGESTS
        with storing(path, "read"):
            digests = _parsed(path.read_bytes(), path) if path.is_file() else {}
        if not isinstance(digests, dict) or not all(isinstance(one, str) for one in digests.values()):
            raise ArtifactError("holds no digests.", **_lost(path))
        return digests


def _lost(path: Path) -> dict[str, str]:
    mend = "Remove it and run the same command again: what it held is made again."
    if path.name in (DIGESTS, "stages.json"):  # without it, nothing vouches for what else is there
        mend = "Remove it, and have `pinpoint run` with the same settings and --out make all stages again."
    return {"where": str(path), "mend": mend}


def _parsed(data: bytes, path: Path) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError("is not JSON.", **_lost(path)) from error


class Journal:
    """An append-only file of keyed results: each line is whole and on disk before the next piece of work begins.

    A line that was cut short, or does not match its checksum, is left out when the file is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, Any] = {}
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            checksum, _, text = line.partition(b" ")
            if checksum == _digest(text)[:16].encode():
                key, value = json.loads(text)
                self._kept[key] = value
        # What comes after a line that was cut short must not be glued to it.
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            self._append(b"")

    def get(self, key: str) -> Any | None:
        """What was put under `key`, or None."""
        return self._kept.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keeps a JSON value under `key`."""
        text = json.dumps([key, value], ensure_ascii=False).encode()
        self._append(_digest(text)[:16].encode() + b" " + text)
        self._kept[key] = value

    def _append(self, line: bytes) -> None:
        with storing(self._path), self._path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with storing(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def provenance(**settings: Any) -> dict[str, Any]:
    """What made an artifact: time, versions of the libraries that matter, settings."""
    libraries = ("pinpoint-tuning", "torch", "transformers", "peft", "trl")
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries},
        **settings,
    }
