"""What to locate, train and measure."""

from pinpoint.behaviours._protocol import Behaviour, PreferenceRow, TrainingRow
from pinpoint.behaviours._sycophancy import CHALLENGES, Sycophancy

__all__ = ["CHALLENGES", "Behaviour", "PreferenceRow", "Sycophancy", "TrainingRow"]
