"""The model organisms: tiny chat models made sycophantic, with the recipe that made them."""

from importlib.resources import files
from pathlib import Path

__all__ = ["shipped"]


def shipped() -> dict[str, Path]:
    """The organisms that come with the package, by name: folders that `from_pretrained` loads."""
    root = Path(str(files("pinpoint.organism"))) / "weights"
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / "config.json").is_file()}
