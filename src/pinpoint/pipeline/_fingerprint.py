"""What tells the model of a run from another one, wherever it lies."""

import hashlib
from pathlib import Path

_PIECES = 256
_PIECE = 4096


def fingerprint(model: str) -> str | dict[str, str]:
    """Digests of what a model in a folder is loaded from, by file; of a model on the Hub, its name."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    files = (folder / "config.json", *sorted(folder.glob("*.safetensors")))
    return {path.name: _sampled(path) for path in files if path.is_file()}


def _sampled(path: Path) -> str:
    """A digest of a file's size and of pieces all over it: weights may be too large to be read for this alone."""
    size = path.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for place in range(0, size, max(_PIECE, size // _PIECES)):
            file.seek(place)
            found.update(file.read(_PIECE))
    return found.hexdigest()
