"""What a stage hands on: safetensors and JSON, written whole or not at all, verified on read."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
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
        return self._store(name, safetensors.torch.save(whole, dict(metadata)))

    def read_json(self, name: str) -> Any:
        """Reads a JSON document back."""
        return json.loads(self._load(name))

    def read_jsonl(self, name: str) -> list[Any]:
        """Reads a file of one JSON document a line back."""
        return [json.loads(line) for line in self._load(name).decode("utf-8").splitlines()]

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Reads tensors and their metadata back.

        Raises:
            ArtifactError: the file is missing, changed or no safetensors file.
        """
        data = self._load(name)
        try:
            with safetensors.safe_open(str(self.path(name)), framework="pt") as file:
                metadata = dict(file.metadata() or {})
            return safetensors.torch.load(data), metadata
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


def provenance(**settings: Any) -> dict[str, Any]:
    """What made an artifact: time, versions of the libraries that matter, settings."""
    libraries = ("pinpoint-tuning", "torch", "transformers", "peft", "trl")
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries},
        **settings,
    }
