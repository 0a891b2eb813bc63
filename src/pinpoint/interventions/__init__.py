"""Capture, patch and knock out. The only package that registers hooks or substitutes a module."""

from pinpoint.interventions._hooks import after_blocks, edited_inputs, seen_inputs
from pinpoint.interventions._knockout import captured_heads, knockout, resample
from pinpoint.interventions._supply import run_block

__all__ = [
    "after_blocks",
    "captured_heads",
    "edited_inputs",
    "knockout",
    "resample",
    "run_block",
    "seen_inputs",
]
