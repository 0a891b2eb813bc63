"""What stands beside pinpoint tuning: other methods, searched alike, and tests of their differences."""

from pinpoint.compare._search import Tried, better, climb
from pinpoint.compare._steering import activation_addition, head_intervention
from pinpoint.compare._tests import Amounts, paired_tests

__all__ = ["Amounts", "Tried", "activation_addition", "better", "climb", "head_intervention", "paired_tests"]
