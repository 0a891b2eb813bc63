"""What is looked for in a model of an architecture that has no layout."""

from operator import attrgetter
from typing import Any

from torch import nn

from pinpoint.models._layout import Layout
from pinpoint.models._qkv import PARTS


def looked_for(model: nn.Module) -> str:
    """Which of Llama's names a model has and which it lacks; the latter are what a layout of it has to say."""
    usual = Layout(())
    blocks = list(_at(model, usual.layers) or ())
    outside = {"backbone": usual.backbone, "layers": usual.layers, "tail": usual.tail[0]}
    found = {f"{field} `{path}`": _at(model, path) is not None for field, path in outside.items()}
    inside = [("attention", ""), ("out_proj", usual.out_proj), *(("projections", f"{part}_proj") for part in PARTS)]
    for field, name in inside:
        path = f"{usual.attention}.{name}".rstrip(".")
        found[f"{field} `{path}`"] = any(_at(block, path) is not None for block in blocks)
    there, missing = (", ".join(name for name, has in found.items() if has is want) for want in (True, False))
    return f"has {there or 'none'}; lacks {missing or 'none'}"


def _at(module: nn.Module, path: str) -> Any:
    try:
        return attrgetter(path)(module)
    except AttributeError:
        return None
