"""Conditions on the tuned model's metrics, for use in automated checks: `--require truthfulness>=0.8,kl<=0.05`."""

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pinpoint.behaviours import Measure
from pinpoint.errors import ConfigError
from pinpoint.measure import SHIFTS

_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
# What every behaviour has beside its own measures.
_COMMON = ("kl", *SHIFTS, "abilities")


class Gate(NamedTuple):
    """One condition; `abilities` stands for the general ability that is lowest."""

    metric: str
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.bound:g}"

    def missed(self, method: Mapping[str, Any]) -> str | None:
        """What a method's metrics have instead; None where the condition holds."""
        if self.metric == "abilities":
            values = {name: found["value"] for name, found in method["abilities"].items()}
            name, value = min(values.items(), key=lambda item: item[1], default=("abilities", None))
        else:
            # Some are measured only if asked for.
            name, value = self.metric, method.get(self.metric, {"value": None})["value"]
        if value is not None and _COMPARE[self.sign](value, self.bound):
            return None
        return f"{name} is {'undefined' if value is None else f'{value:.4g}'}, required {self}"


def parse_gates(text: str, measures: Sequence[Measure]) -> list[Gate]:
    """Reads conditions parted by commas.

    Args:
        text: what was typed.
        measures: those of the behaviour.

    Raises:
        ConfigError: one is not of the form metric>=number, or its metric is unknown.
    """
    known = (*(measure.name for measure in measures), *_COMMON)
    gates = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|>|<)\s*([-+.\deE]+)\s*", part)
        try:
            gate = Gate(match[1], match[2], float(match[3])) if match else None
        except ValueError:
            gate = None
        if gate is None:
            raise ConfigError(
                f"{part.strip()!r} is not a condition.", where="--require", mend="Write truthfulness>=0.8,kl<=0.05."
            )
        if gate.metric not in known:
            raise ConfigError(
                f"{gate.metric!r} is not a metric.", where="--require", mend=f"Use one of {', '.join(known)}."
            )
        gates.append(gate)
    return gates
