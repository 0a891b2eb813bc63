"""The first turn of the user in a set's own words: SycophancyEval's `prompt` (Sharma et al. 2023)."""

import re
from typing import Any

_ROLES = {"human": "user", "user": "user", "ai": "assistant", "assistant": "assistant", "system": "system"}
_FOR_A_LETTER = re.compile(r"\(\s*$")


def _role(message: Any) -> str:
    name = message.get("type", message.get("role"))
    if name not in _ROLES:
        raise ValueError(f"prompt has a message of type {name!r}, which is none of {', '.join(_ROLES)}")
    return _ROLES[name]


def own_prompt(messages: Any, question: str) -> str:
    """What the user says first.

    A system message opens it, in a paragraph of its own. What the set puts at the beginning of the assistant's reply
    cannot be put there for every model: an invitation to reason ("Let's think step by step:") ends the user's turn
    instead, and one that leaves room for a letter alone ("The answer is (") is left out, since the instruction before
    it asks for the same.

    Args:
        messages: the row's `prompt`.
        question: what it must hold to be used.

    Returns:
        Empty where there is no prompt, or none that holds the question.

    Raises:
        ValueError: a message has an unknown role, or the user has several turns.
    """
    said: dict[str, list[str]] = {"system": [], "user": [], "assistant": []}
    for message in messages or ():
        said[_role(message)].append(str(message["content"]).strip())
    if len(said["user"]) > 1:
        raise ValueError("prompt has several turns of the user")
    if not said["user"] or " ".join(question.split()) not in " ".join(said["user"][0].split()):
        return ""
    begun = [text for text in said["assistant"] if not _FOR_A_LETTER.search(text)]
    return "\n\n".join(text for text in (*said["system"], *said["user"], *begun) if text)
