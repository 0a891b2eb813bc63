"""What is kept of work that is not done, for a later run to go on from."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinpoint.artifacts import Workspace
    from pinpoint.pipeline._run import Run

_FOLDER = "partial"


def _name(work: str, key: str) -> str:
    return f"{work}-{key[:16]}"


def begun(run: Run, work: str, key: str) -> Workspace:
    """Where work keeps what it has so far; what it left there under other keys goes.

    Args:
        run: the run that it belongs to.
        work: its name.
        key: changes with everything that its results depend on.
    """
    space = run.workspace.sub(_FOLDER)
    for path in space.root.glob(f"{work}-*"):
        if path.name != _name(work, key):
            space.drop(path.name)
    return space.sub(_name(work, key))


def ended(run: Run, work: str, key: str) -> None:
    """Deletes what was kept: the work is done."""
    space = run.workspace.sub(_FOLDER)
    space.drop(_name(work, key))
    with suppress(OSError):  # other work may keep something there
        space.root.rmdir()
