"""Behaviours by the kind of their settings: a new one is a file and a line here."""

from collections.abc import Callable
from typing import Any

from pinpoint.behaviours._protocol import Behaviour
from pinpoint.behaviours._sycophancy import Sycophancy
from pinpoint.behaviours._user import UserBehaviour
from pinpoint.config import BehaviourConfig, SycophancyConfig, UserBehaviourConfig

_BEHAVIOURS: dict[type, Callable[[Any], Behaviour]] = {
    SycophancyConfig: Sycophancy,
    UserBehaviourConfig: UserBehaviour,
}


def behaviour_of(settings: BehaviourConfig) -> Behaviour:
    """The behaviour that settings describe."""
    return _BEHAVIOURS[type(settings)](settings)
