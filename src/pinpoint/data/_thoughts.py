"""What a reasoning model thinks before it replies, in <think> tags, and where its reply begins."""

import re
from typing import NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from pinpoint.data._chat import Messages, applied, render
from pinpoint.errors import InputError

_BEGINS, _ENDS = "<think>", "</think>"
_EMPTY = f"{_BEGINS}\n\n{_ENDS}\n\n"
_OPEN = re.compile(rf"{_BEGINS}\s*\Z")
_CLOSED = re.compile(rf"{_BEGINS}\s*{_ENDS}\s*\Z")


class Said(NamedTuple):
    """What a model said.

    Attributes:
        reply: what is said to the user; empty where the thought before it did not end.
        thought: what was thought before; empty for nothing.
        closed: whether the thought, if there was one, came to its end.
    """

    reply: str
    thought: str = ""
    closed: bool = True


def parted(text: str) -> Said:
    """A text parted into thought and reply, at the last tag that closes a thought."""
    before, end, after = text.rpartition(_ENDS)
    if end:
        return Said(after.strip(), before.strip().removeprefix(_BEGINS).strip())
    if text.lstrip().startswith(_BEGINS):
        return Said("", text.strip().removeprefix(_BEGINS).strip(), closed=False)
    return Said(text)


def joined(thought: str, reply: str, *, closed: bool = True) -> str:
    """The text that `parted` parts so."""
    return f"{_BEGINS}{thought}{_ENDS}{reply}" if closed else f"{_BEGINS}{thought}"


def opens_thought(prompt: str) -> bool:
    """Whether a prompt ends with the tag that opens a thought, which the model then does not say itself."""
    return _OPEN.search(prompt) is not None


def render_to_reply(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> str:
    """The prompt text up to where the reply itself starts: after an empty thought, where the model would think first.

    It is the template's own where that has one for models that are told not to think. A template that knows no empty
    thought is rendered as it is: see `closes_thoughts`.

    Raises:
        InputError: as `render`.
    """
    text = render(tokenizer, messages)
    closed = None if _CLOSED.search(text) else _closed_thought(tokenizer, messages, text)
    return text if closed is None else _OPEN.sub("", text) + closed


def _closed_thought(tokenizer: PreTrainedTokenizerBase, messages: Messages, text: str) -> str | None:
    own = _CLOSED.search(_unthinking(tokenizer, messages)) if _switches(tokenizer) else None
    return own[0] if own else _EMPTY if opens_thought(text) else None


def _switches(tokenizer: PreTrainedTokenizerBase) -> bool:
    return "enable_thinking" in str(tokenizer.chat_template)


def _unthinking(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> str:
    try:
        return applied(tokenizer, messages, add_generation_prompt=True, enable_thinking=False)
    except TemplateError as error:
        raise InputError(
            f"the chat template refuses enable_thinking=false: {error}",
            where=str(tokenizer.name_or_path),
            mend="Look at tokenizer.chat_template.",
        ) from error


def closes_thoughts(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> bool | None:
    """Whether `render_to_reply` ends where the reply itself starts; None for a template that knows of no thoughts."""
    text = render(tokenizer, messages)
    if _CLOSED.search(render_to_reply(tokenizer, messages)):
        return True
    if _switches(tokenizer):
        # Told not to think, and not by an empty thought: then this is where the reply starts.
        return _unthinking(tokenizer, messages) == text
    return False if _ENDS in str(tokenizer.chat_template) else None


def encode_to_reply(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """Token ids of `render_to_reply`."""
    ids: list[int] = tokenizer(render_to_reply(tokenizer, messages), add_special_tokens=False)["input_ids"]
    return ids
