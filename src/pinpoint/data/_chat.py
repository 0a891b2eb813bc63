"""Rendering chat messages with the model's own template."""

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from pinpoint.errors import InputError

Message = dict[str, str]
Messages = Sequence[Message]

_SHOWN = 60
_LOOK = "Look at tokenizer.chat_template."


def user(content: str) -> Message:
    """A message of the user."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """A message of the assistant."""
    return {"role": "assistant", "content": content}


def system(content: str) -> list[Message]:
    """A system message, or none where `content` is empty."""
    return [{"role": "system", "content": content}] if content else []


def beginning(messages: Messages) -> str:
    """The first words that the user says, in quotes, to tell a dialogue by."""
    first = next((message["content"] for message in messages if message["role"] == "user"), "")
    return repr(first if len(first) <= _SHOWN else f"{first[:_SHOWN]}...")


def applied(tokenizer: PreTrainedTokenizerBase, messages: Messages, **settings: bool) -> str:
    """What the tokenizer's chat template makes of messages.

    Raises:
        TemplateError: it refuses them, or fails, in whatever way.
    """
    rendered: Any = tokenizer.apply_chat_template  # which hands on whatever a template knows
    try:
        return str(rendered(list(messages), tokenize=False, **settings))
    except TemplateError:
        raise
    except Exception as error:
        # A template is a program: it can divide by zero, or take a message's text for something else.
        raise TemplateError(f"{type(error).__name__}: {error}") from error


def render(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, whole: bool = False) -> str:
    """The prompt text up to where the assistant starts its reply.

    Args:
        tokenizer: whose chat template it is.
        messages: the dialogue.
        whole: the dialogue ends with a reply, which is rendered to its end; none is begun after it.

    Raises:
        InputError: the tokenizer has no chat template, or the template refuses the messages or renders nothing.
    """
    if not tokenizer.chat_template:
        raise InputError(
            "the tokenizer has no chat template.",
            where=str(tokenizer.name_or_path),
            mend="Use a chat model, or give it one: --template plain, or --template FILE.",
        )
    try:
        text = applied(tokenizer, messages, add_generation_prompt=not whole)
    except TemplateError as error:
        systemic = any(message["role"] == "system" for message in messages)
        raise InputError(
            f"the chat template refuses the messages: {error}",
            where=str(tokenizer.name_or_path),
            mend="Some templates take no system message: set `system: ''`." if systemic else _LOOK,
        ) from error
    if not text.strip():
        raise InputError(
            "the chat template makes nothing of the messages.",
            where=str(tokenizer.name_or_path),
            mend=_LOOK,
        )
    return text


def choose_thinking(tokenizer: PreTrainedTokenizerBase, thinking: bool | None) -> PreTrainedTokenizerBase:
    """The tokenizer, its chat template switched to think or not to wherever it is not told otherwise.

    Training, locating and evaluating all render with it, and a tuned model is saved with the choice.

    Args:
        tokenizer: changed in place.
        thinking: what `enable_thinking` is; None for the template's own choice.

    Raises:
        InputError: the template knows no such choice.
    """
    if thinking is None:
        return tokenizer
    template = tokenizer.chat_template
    if not isinstance(template, str) or "enable_thinking" not in template:
        raise InputError(
            "the chat template has no enable_thinking to choose by.",
            where=str(tokenizer.name_or_path),
            mend="Leave --thinking out: this model's template cannot switch thinking on or off.",
        )
    choice = "true" if thinking else "false"
    tokenizer.chat_template = f"{{% set enable_thinking = enable_thinking | default({choice}) %}}{template}"
    return tokenizer


def encode_chat(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """Token ids of the rendered prompt; the template writes its own special tokens."""
    ids: list[int] = tokenizer(render(tokenizer, messages), add_special_tokens=False)["input_ids"]
    return ids
