"""Which chat template a model is talked to by, and whether it has room for a system message."""

from typing import Literal

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from pinpoint.data._chat import Messages, applied, assistant, system, user

PLAIN = (
    "{% if bos_token is defined and bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User:\\n' + message['content'] + '\\n\\n' }}"
    "{% else %}{{ 'Assistant:\\n' + message['content'] }}"
    "{% if eos_token is defined and eos_token %}{{ eos_token }}{% endif %}{{ '\\n\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\\n' }}{% endif %}"
)
"""For models that come with none: each turn under the name of who speaks, replies ended by the end-of-text token."""


def choose_template(tokenizer: PreTrainedTokenizerBase, template: str) -> PreTrainedTokenizerBase:
    """The tokenizer with a chat template.

    Locating, training and evaluating all render with it, and a tuned model is saved with it.

    Args:
        tokenizer: changed in place.
        template: "own" for what it has, "plain" for `PLAIN`, or the text of a Jinja template.
    """
    if template != "own":
        tokenizer.chat_template = PLAIN if template == "plain" else template
    return tokenizer


def system_lost(tokenizer: PreTrainedTokenizerBase, text: str) -> Literal["", "refuses", "leaves out"]:
    """What a chat template does to a system message, where it does not render it: two renderings tell.

    Returns:
        Empty where the message is rendered, or where dialogues without one are not either, which is told elsewhere.
    """
    asked: Messages = [user("Who wrote Hamlet?"), assistant("Shakespeare."), user("Are you sure?")]
    try:
        without = applied(tokenizer, asked, add_generation_prompt=True)
    except TemplateError:
        return ""
    if not without.strip():
        return ""
    try:
        rendered = applied(tokenizer, [*system(text), *asked], add_generation_prompt=True)
    except TemplateError:
        return "refuses"
    # A template may have the same message by default: then both are alike, and nothing is lost.
    return "leaves out" if rendered == without and text.strip() not in rendered else ""
