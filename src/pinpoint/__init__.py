"""Find the attention heads that cause a behaviour of a chat model, prove it, and fine-tune only those."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pinpoint._version import __version__

# Bound here, before anything can import the package of the same name and shadow the function with it.
from pinpoint.locate import locate

if TYPE_CHECKING:
    from pinpoint.data import ContrastPair
    from pinpoint.errors import PinpointError
    from pinpoint.heads import Head, HeadScores, HeadSet
    from pinpoint.locate import agreement, find_set, greedy_set, joint_effect, locate_nodes, locate_paths
    from pinpoint.models import load
    from pinpoint.nodes import Node, NodeScores
    from pinpoint.report import (
        Comparison,
        Knockout,
        Summary,
        Sweep,
        read_comparison,
        read_knockout,
        read_summary,
        read_sweep,
    )

__all__ = [
    "Comparison",
    "ContrastPair",
    "Head",
    "HeadScores",
    "HeadSet",
    "Knockout",
    "Node",
    "NodeScores",
    "PinpointError",
    "Summary",
    "Sweep",
    "__version__",
    "agreement",
    "find_set",
    "greedy_set",
    "joint_effect",
    "load",
    "locate",
    "locate_nodes",
    "locate_paths",
    "read_comparison",
    "read_knockout",
    "read_summary",
    "read_sweep",
]

_HOMES = {
    "ContrastPair": "pinpoint.data",
    "Head": "pinpoint.heads",
    "HeadScores": "pinpoint.heads",
    "HeadSet": "pinpoint.heads",
    "Node": "pinpoint.nodes",
    "NodeScores": "pinpoint.nodes",
    "PinpointError": "pinpoint.errors",
    "agreement": "pinpoint.locate",
    "find_set": "pinpoint.locate",
    "greedy_set": "pinpoint.locate",
    "joint_effect": "pinpoint.locate",
    "load": "pinpoint.models",
    "locate_nodes": "pinpoint.locate",
    "locate_paths": "pinpoint.locate",
    **dict.fromkeys(("Comparison", "Knockout", "Summary", "Sweep"), "pinpoint.report"),
    **dict.fromkeys(("read_comparison", "read_knockout", "read_summary", "read_sweep"), "pinpoint.report"),
}


def __getattr__(name: str) -> Any:
    """Imports torch and transformers only when something needs them: `pinpoint --help` does not."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pinpoint' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
