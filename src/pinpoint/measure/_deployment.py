"""How a model is served: what stands before every dialogue, and what is added to its activations."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.data import Message, Messages, system
from pinpoint.interventions import Steering, steer
from pinpoint.models import headed


@dataclass(frozen=True)
class Deployment:
    """What is done to a model when it is served rather than when it is trained.

    Attributes:
        system: stands after what the dialogue's own system message says.
        shots: example dialogues, after the system message.
        steering: vectors added while it replies.
    """

    system: str = ""
    shots: tuple[Message, ...] = ()
    steering: Steering | None = None

    def dress(self, messages: Messages) -> Messages:
        """The dialogue as the model gets to see it."""
        if not self.system and not self.shots:
            return messages
        own = [message["content"] for message in messages if message["role"] == "system"]
        said = " ".join(filter(None, (*own, self.system)))
        rest = [message for message in messages if message["role"] != "system"]
        return [*system(said), *self.shots, *rest]

    def applied(self, model: PreTrainedModel, reply: Tensor | None = None) -> AbstractContextManager[None]:
        """Steers the model for the length of a block; `reply` as in `steer`."""
        return nullcontext() if self.steering is None else steer(headed(model), self.steering, reply)


PLAIN = Deployment()
