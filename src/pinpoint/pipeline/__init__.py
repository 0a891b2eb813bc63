"""The stages in order, with the checks between them."""

from pinpoint.pipeline._run import Run
from pinpoint.pipeline._settings import of_run, resolve

__all__ = ["Run", "of_run", "resolve"]
