"""Proving by knockout that the located heads carry the behaviour."""

from pinpoint.verify._curve import Curve, Prompts, curve, shortest_prefix
from pinpoint.verify._generate import Knocked, generate_knocked_out

__all__ = ["Curve", "Knocked", "Prompts", "curve", "generate_knocked_out", "shortest_prefix"]
