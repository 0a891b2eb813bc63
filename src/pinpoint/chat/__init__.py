"""Talking to the base and the tuned model side by side, with heads of the base switched off and on."""

from pinpoint.chat._partner import Partner
from pinpoint.chat._session import Lineup, Located, Session
from pinpoint.chat._turns import Gauge, Lean, Reply, Turn

__all__ = ["Gauge", "Lean", "Lineup", "Located", "Partner", "Reply", "Session", "Turn"]
