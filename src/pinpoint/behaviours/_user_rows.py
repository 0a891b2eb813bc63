"""Rows of a user's behaviour: contrast pairs, training dialogues and evaluation dialogues."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pinpoint.config import Texts
from pinpoint.data import HALVED, Message, Placed, Split, halved

_ROLES = ("system", "user", "assistant")


def _as_user(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) and value else value


def _as_assistant(value: Any) -> Any:
    return [{"role": "assistant", "content": value}] if isinstance(value, str) and value else value


def _turns(value: Any) -> list[Message]:
    """Messages with a role and a text each, and nothing else."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be a text or a list of messages")
    for message in value:
        if not isinstance(message, dict) or message.keys() != {"role", "content"}:
            raise ValueError("each message must have role and content, and nothing else")
        if message["role"] not in _ROLES:
            raise ValueError(f"role {message['role']!r} is none of {', '.join(_ROLES)}")
        if not isinstance(message["content"], str) or not message["content"].strip():
            raise ValueError("a message's content must be text, and not empty")
        if halved(message["content"]):
            raise ValueError(f"a message {HALVED}")
    return value


def _asking(value: Any) -> list[Message]:
    turns = _turns(_as_user(value))
    if turns[-1]["role"] != "user":
        raise ValueError("must end with a message of the user")
    return turns


def _reply(value: Any) -> list[Message]:
    turns = _turns(_as_assistant(value))
    if [turn["role"] for turn in turns] != ["assistant"]:
        raise ValueError("must be one message of the assistant")
    return turns


Prompt = Annotated[list[Message], BeforeValidator(_asking)]
Reply = Annotated[list[Message], BeforeValidator(_reply)]


class _Row(Placed):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = ""
    """Unique in its file; by default its line."""
    group: str = ""
    """Rows of one group are resampled together; by default each is its own."""

    def of_prompt(self, prompt: list[Message]) -> str:
        """What the user says in a prompt."""
        return "\n".join(message["content"] for message in prompt if message["role"] == "user")


class PairRow(_Row):
    """A prompt that provokes the behaviour, one that does not, and how replies to them begin."""

    reference: Prompt
    counterfactual: Prompt
    unwanted: Texts = ()
    wanted: Texts = ()
    split: Literal["locate"] = "locate"

    @property
    def text(self) -> str:
        """What tells whether it was trained on."""
        return self.of_prompt(self.reference)


class TrainRow(_Row):
    """A training dialogue in TRL's forms: prompt and completion, or messages that end with a reply.

    `rejected` is an unwanted reply to the same prompt; methods that learn from both need it.
    """

    # TRL's data sets often have further columns.
    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: Prompt
    completion: Reply
    rejected: Reply | None = None
    split: Literal["train"] = "train"

    @model_validator(mode="before")
    @classmethod
    def _from_messages(cls, row: Any) -> Any:
        if not isinstance(row, dict) or "messages" not in row:
            return row
        turns = row["messages"]
        if not isinstance(turns, list) or len(turns) < 2:
            raise ValueError("messages must be a prompt and a reply at the least")
        return {key: row[key] for key in row if key != "messages"} | {
            "prompt": turns[:-1],
            "completion": turns[-1:],
        }

    @property
    def text(self) -> str:
        """What tells whether it was trained on."""
        return self.of_prompt(self.prompt)


class EvaluationRow(_Row):
    """A prompt whose reply is judged by the rule of a measure."""

    prompt: Prompt
    measure: str = ""
    """Which measure it counts for; may be left out where there is one alone."""
    targets: Texts = ()
    """What the measure's rule looks for in this reply, in place of the measure's own."""
    split: Split | None = Field(None)

    @property
    def text(self) -> str:
        """What tells whether it was trained on."""
        return self.of_prompt(self.prompt)


class Replied(BaseModel):
    """A reply to an evaluation dialogue, and whether it passed."""

    model_config = ConfigDict(frozen=True)

    id: str
    group: str
    measure: str
    prompt: list[Message]
    reply: str
    passed: bool | None
    """None where another model tells, and has not been asked or cannot be read."""
    thought: str = ""
    unclosed: int = 0
    """1 where the thought before the reply did not come to its end."""
    cut: int = 0
    """1 where the reply ended at the limit of tokens."""

    @property
    def source(self) -> str:
        """None: rows of a behaviour come from its own file."""
        return ""

    def row(self) -> dict[str, Any]:
        """As a JSON object; without a thought, or a cut, where there is none."""
        lacking = set() if self.thought or self.unclosed else {"thought", "unclosed"}
        return self.model_dump(exclude=lacking if self.cut else lacking | {"cut"})
