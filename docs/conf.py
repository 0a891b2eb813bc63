"""Sphinx configuration: `make docs`."""

import re
import sys
from pathlib import Path
from typing import Any

_version = Path(__file__).resolve().parent.parent / "src" / "pinpoint" / "_version.py"
_match = re.search(r'__version__ = "(.+)"', _version.read_text(encoding="utf-8"))
assert _match is not None

project = "pinpoint"
author = "The pinpoint authors"
copyright = author
release = version = _match.group(1)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"pinpoint {release}"


def setup(app: Any) -> None:
    """The reference of commands and settings is written from the code before anything is read."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import commands

    app.connect("builder-inited", commands.write)
