"""Templates made into files that need nothing from outside and run no script but their own."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pinpoint.report._format import count, opening
from pinpoint.report._rows import label_of

_HERE = Path(__file__).parent


def _script(text: str) -> tuple[Markup, str]:
    """A script and the hash that lets a browser run it, and no other."""
    # Browsers hash what their parser made of the line ends.
    text = text.replace("\r\n", "\n")
    return Markup(text), "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render(template: str, context: dict[str, Any], scripts: Sequence[str] = ("page.js",)) -> str:
    """A template with the style, the scripts and the hashes that allow them; every value in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["label"] = label_of
    environment.filters["count"] = count
    environment.filters["opening"] = opening
    # NaN is no JSON: a browser would show no figure at all.
    environment.policies["json.dumps_function"] = json.dumps
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    plotly, plotly_hash = _script(get_plotlyjs())
    drawing, drawing_hash = _script("".join((_HERE / name).read_text(encoding="utf-8") for name in scripts))
    return environment.get_template(template).render(
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        plotly=plotly,
        drawing=drawing,
        hashes=[plotly_hash, drawing_hash],
        **context,
    )
