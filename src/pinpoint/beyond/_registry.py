"""Further sets by their key in the settings: a new one is a file and a line here."""

from pinpoint.beyond._beliefs import Beliefs
from pinpoint.beyond._biography import Biography
from pinpoint.beyond._feedback import Feedback
from pinpoint.beyond._phrasings import Phrasings
from pinpoint.beyond._pressure import Pressure
from pinpoint.beyond._protocol import FurtherSet
from pinpoint.beyond._sycon import Sycon

_SETS: tuple[FurtherSet, ...] = (Phrasings(), Pressure(), Sycon(), Biography(), Beliefs(), Feedback())
FURTHER: dict[str, FurtherSet] = {one.name: one for one in _SETS}
"""In the order of tables."""
