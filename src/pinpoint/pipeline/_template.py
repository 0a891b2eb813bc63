"""The settings that a chat template leaves room for, and a tokenizer that renders as they say."""

from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from pinpoint.checks import CheckResult
from pinpoint.config import RunConfig
from pinpoint.data import choose_template, choose_thinking, system_lost
from pinpoint.errors import InputError
from pinpoint.models import load_tokenizer

_NAME = "the chat template takes the system message"


class Fitted(NamedTuple):
    """Settings without the system message that the chat template does not render, and what to tell of it."""

    config: RunConfig
    lost: CheckResult | None = None


def rendering(tokenizer: PreTrainedTokenizerBase, config: RunConfig) -> PreTrainedTokenizerBase:
    """The tokenizer, changed in place to render dialogues as the settings say.

    Raises:
        InputError: the settings choose whether to think, and the template knows no such choice.
    """
    return choose_thinking(choose_template(tokenizer, config.template), config.thinking)


def fitted(config: RunConfig, tokenizer: PreTrainedTokenizerBase | None = None) -> Fitted:
    """Leaves the settings' system message out where the chat template refuses it or swallows it.

    Args:
        config: the settings.
        tokenizer: of the model, that renders as the settings say; loaded where it is not given.
    """
    text = config.behaviour.system
    if not text:
        return Fitted(config)
    try:
        code = config.revision, config.trust_remote_code
        tokenizer = tokenizer or rendering(load_tokenizer(config.model, *code), config)
    except InputError:
        return Fitted(config)  # told where the model is loaded
    lost = system_lost(tokenizer, text)
    if not lost:
        return Fitted(config)
    detail = f"it {lost} {text!r}, so that dialogues go without a system message (behaviour.system: '')"
    behaviour = config.behaviour.model_copy(update={"system": ""})
    result = CheckResult(name=_NAME, ok=False, detail=f"{detail}.", stops=False)
    return Fitted(config.model_copy(update={"behaviour": behaviour}), result)
