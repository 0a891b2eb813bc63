"""What to locate, train and measure."""

from pinpoint.behaviours._explanations import Explanation, explanations
from pinpoint.behaviours._material import (
    NOTHING,
    Item,
    Material,
    Measure,
    Outcomes,
    Played,
    PreferenceRow,
    Record,
    TrainingRow,
)
from pinpoint.behaviours._protocol import Behaviour
from pinpoint.behaviours._registry import behaviour_of
from pinpoint.behaviours._sycophancy import CHALLENGES, Sycophancy
from pinpoint.behaviours._wrong_answers import WrongAnswer

__all__ = [
    "CHALLENGES",
    "NOTHING",
    "Behaviour",
    "Explanation",
    "Item",
    "Material",
    "Measure",
    "Outcomes",
    "Played",
    "PreferenceRow",
    "Record",
    "Sycophancy",
    "TrainingRow",
    "WrongAnswer",
    "behaviour_of",
    "explanations",
]
