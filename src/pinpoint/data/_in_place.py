"""Answers as tokens where they stand: right after a prompt."""

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from pinpoint.data._chat import Messages, applied, assistant
from pinpoint.data._thoughts import render_to_reply
from pinpoint.errors import InputError


def refuse_merged(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> None:
    """Refuses an answer whose first characters the tokenizer merges with the prompt's last ones.

    A model that is given the prompt alone never sees the tokens that it would have to go on from.

    Raises:
        InputError: the tokens of both together do not begin with those of the prompt.
    """
    _rest(tokenizer, prompt, prompt + answer, answer)


def tokens_of_reply(tokenizer: PreTrainedTokenizerBase, messages: Messages, answer: str) -> list[int] | None:
    """Token ids of an answer as the chat template writes it after messages.

    Args:
        tokenizer: the model's.
        messages: the dialogue up to the reply.
        answer: how the reply starts; the space before it is the template's.

    Returns:
        None where the template writes what was replied otherwise than what is going to be, so that it does not tell.

    Raises:
        InputError: as `refuse_merged`.
    """
    prompt, said = render_to_reply(tokenizer, messages), answer.lstrip()
    try:
        whole = applied(tokenizer, [*messages, assistant(said)])
    except TemplateError:
        whole = ""
    begin = whole.find(said, len(prompt))
    if not said or begin < 0 or not whole.startswith(prompt) or whole[len(prompt) : begin].strip():
        refuse_merged(tokenizer, prompt, answer)
        return None
    return _rest(tokenizer, prompt, whole[: begin + len(said)], answer)


def _rest(tokenizer: PreTrainedTokenizerBase, prompt: str, text: str, answer: str) -> list[int]:
    alone, both = (tokenizer(one, add_special_tokens=False)["input_ids"] for one in (prompt, text))
    if both[: len(alone)] == alone:
        return list(both[len(alone) :])
    raise InputError(
        f"the tokenizer merges the end of the prompt, {prompt[-12:]!r}, with the beginning of the answer {answer!r}.",
        where=str(tokenizer.name_or_path),
        mend="Leave out the space that ends the prompt (or the chat template's generation prompt) and let the answer "
        "begin with it; or give token ids.",
    )
