"""What tells the model of a run from another one, wherever it lies."""

import hashlib
from pathlib import Path

_PIECES = 256
_PIECE = 4096
_FARTHEST = 2**20  # apart: about what one head of a large model owns of a matrix


def fingerprint(model: str) -> str | dict[str, str]:
    """Digests of the config and the weights of a model in a folder, by file; of a model on the Hub, its name."""
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
        for place in range(0, size, max(_PIECE, min(size // _PIECES, _FARTHEST))):
            file.seek(place)
            found.update(file.read(_PIECE))
    return found.hexdigest()
