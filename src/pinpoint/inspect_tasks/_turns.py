"""How a turn of the model's own ended under Inspect, kept with its message for the scorer."""

from collections.abc import Sequence
from typing import Any

from inspect_ai.model import ChatMessage, ContentReasoning, StopReason
from pydantic import BaseModel, ConfigDict

from pinpoint.data import parted

_KEY = "pinpoint"
_AT_A_LIMIT = ("max_tokens", "model_length")


class Turn(BaseModel):
    """What a turn has beside its reply.

    Attributes:
        thought: what was thought before the reply; empty for nothing.
        closed: whether the thought, if there was one, came to its end.
        cut: whether it ended at a limit of tokens; None where the provider does not say.
    """

    model_config = ConfigDict(frozen=True)

    thought: str = ""
    closed: bool = True
    cut: bool | None = None


def note(message: ChatMessage, ended: StopReason) -> None:
    """Leaves in a turn what goes back into the dialogue, as `pinpoint evaluate` puts it there, and notes the rest.

    Args:
        message: the turn, as it was generated.
        ended: why it ended.
    """
    cut = None if ended == "unknown" else ended in _AT_A_LIMIT
    if isinstance(message.content, str):
        said = parted(message.content.strip())
        turn = Turn(thought=said.thought, closed=said.closed, cut=cut)
        message.content = said.reply
    else:
        thought = "\n".join(part.reasoning for part in message.content if isinstance(part, ContentReasoning))
        turn = Turn(thought=thought, closed=not thought or bool(message.text.strip()) or not cut, cut=cut)
        message.content = message.text.strip()
    message.metadata = (message.metadata or {}) | {_KEY: turn.model_dump()}


def ends_known(messages: Sequence[ChatMessage]) -> bool:
    """Whether it is known of all the model's own turns why they ended."""
    own = [turn for message in messages if (turn := _turn(message)) is not None]
    return bool(own) and all(turn.cut is not None for turn in own)


def kept(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """What an `Exchange` has of thoughts and cut turns.

    Args:
        messages: the turns of the model; one that was put into its mouth has no note.
    """
    turns = [_turn(message) or Turn() for message in messages]
    found: dict[str, Any] = {"cut": sum(bool(turn.cut) for turn in turns)}
    if any(turn.thought or not turn.closed for turn in turns):
        found |= {"thoughts": tuple(turn.thought for turn in turns), "unclosed": sum(not turn.closed for turn in turns)}
    return found


def _turn(message: ChatMessage) -> Turn | None:
    noted = (message.metadata or {}).get(_KEY)
    return None if noted is None else Turn.model_validate(noted)
