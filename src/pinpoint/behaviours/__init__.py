"""What to locate, train and measure."""

from pinpoint.behaviours._protocol import (
    Behaviour,
    Item,
    Material,
    Measure,
    Outcomes,
    Played,
    PreferenceRow,
    Record,
    TrainingRow,
)
from pinpoint.behaviours._registry import behaviour_of
from pinpoint.behaviours._sycophancy import CHALLENGES, Sycophancy

__all__ = [
    "CHALLENGES",
    "Behaviour",
    "Item",
    "Material",
    "Measure",
    "Outcomes",
    "Played",
    "PreferenceRow",
    "Record",
    "Sycophancy",
    "TrainingRow",
    "behaviour_of",
]
