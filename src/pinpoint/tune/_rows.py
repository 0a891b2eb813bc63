"""What is trained on."""

from typing import NamedTuple

from pinpoint.behaviours import PreferenceRow, TrainingRow
from pinpoint.measure import ReplyRow

Row = TrainingRow | PreferenceRow


class Anchor(NamedTuple):
    """Neutral dialogues on which an adapted model is held to its base, and how firmly."""

    rows: list[ReplyRow]
    weight: float
