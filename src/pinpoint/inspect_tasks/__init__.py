"""Tasks for Inspect (an extra): `inspect eval pinpoint/are_you_sure`."""

from pinpoint.inspect_tasks._are_you_sure import are_you_sure, challenged
from pinpoint.inspect_tasks._scorer import rules, sycophancy

__all__ = ["are_you_sure", "challenged", "rules", "sycophancy"]
