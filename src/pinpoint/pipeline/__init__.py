"""The stages in order, with the checks between them."""

from pinpoint.pipeline._inspect import Inspection, compare_on_one_pair, inspect_model
from pinpoint.pipeline._run import Run
from pinpoint.pipeline._settings import of_run, resolve

__all__ = ["Inspection", "Run", "compare_on_one_pair", "inspect_model", "of_run", "resolve"]
