"""What a stage hands on: safetensors and JSON, written whole or not at all, verified on read."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from pinpoint.errors import ArtifactError

_DIGESTS = "digests.json"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all: to a temporary name, synced, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


class Workspace:
    """One folder of artifacts: the only place a stage writes to.

    Every file is written to a temporary name, synced and renamed; its SHA-256 goes to `digests.json` of
    the same folder and is checked when the file is read back.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def sub(self, name: str) -> "Workspace":
        """The workspace of a stage below this one."""
        return Workspace(self.root / name)

    def path(self, name: str) -> Path:
        """Where the artifact `name` lies."""
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
        """A folder to fill, under a temporary name; it takes its own name when the block ends well, else it goes."""
        partial, target = self.root / f".{name}.partial", self.path(name)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)

    def journal(self, name: str) -> "Journal":
        """Results as they come in, one a line, for a stage to go on from."""
        self.root.mkdir(parents=True, exist_ok=True)
        return Journal(self.path(name))

    def drop(self, name: str) -> None:
        """Removes a file or folder, if it is there."""
        path = self.path(name)
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
        return json.loads(self._load(name))

    def read_jsonl(self, name: str) -> list[Any]:
        """Reads a file of one JSON document a line back."""
        return [json.loads(line) for line in self._load(name).decode("utf-8").split("\n") if line]

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Reads tensors and their metadata back.

        Raises:
            ArtifactError: the file is missing, changed or no safetensors file.
        """
        data = self._load(name)
        try:
            with safe_open(str(self.path(name)), framework="pt") as file:
                metadata = dict(file.metadata() or {})
            return from_safetensors(data), metadata
        except SafetensorError as error:
            raise ArtifactError(f"is no safetensors file ({error}).", where=str(self.path(name))) from error

    def _store(self, name: str, data: bytes) -> Path:
        path = self.path(name)
        write_whole(path, data)
        digests = self._digests() | {name: _digest(data)}
        write_whole(self.root / _DIGESTS, json.dumps(digests, indent=1, sort_keys=True).encode())
        return path

    def _load(self, name: str) -> bytes:
        path = self.path(name)
        if not path.is_file():
            raise ArtifactError("is missing.", where=str(path), mend="Run the stage that writes it first.")
        data = path.read_bytes()
        if self._digests().get(name) != _digest(data):
            raise ArtifactError(
                "does not match its recorded digest: it was changed or cut short.",
                where=str(path),
                mend="Run the stage that writes it again.",
            )
        return data

    def _digests(self) -> dict[str, str]:
        path = self.root / _DIGESTS
        try:
            digests: dict[str, str] = json.loads(path.read_bytes()) if path.is_file() else {}
        except ValueError as error:
            raise ArtifactError("is not JSON.", where=str(path), mend="Delete the folder and rerun.") from error
        return digests


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
        with self._path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
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
