"""Contrast pairs: what locate compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from pinpoint.data._chat import Message, encode_chat
from pinpoint.errors import InputError

Prompt = str | Sequence[int] | Sequence[Message]
Answer = int | str | Sequence[int] | Sequence[str]


@dataclass(frozen=True)
class ContrastPair:
    """Two prompts that differ in what causes a behaviour, and the first tokens that tell it apart.

    Attributes:
        reference: the prompt on which the model shows the behaviour: token ids, text or chat messages.
        counterfactual: the prompt on which it does not; any length.
        unwanted: how the behaviour starts: a token id, a string (its first token counts), or several.
        wanted: how the other reply starts, in the same forms.
        group: what the pair belongs to, for resampling whole groups.
    """

    reference: Prompt
    counterfactual: Prompt
    unwanted: Answer
    wanted: Answer
    group: str = ""


class EncodedPair(NamedTuple):
    """A contrast pair in token ids."""

    reference: list[int]
    counterfactual: list[int]
    unwanted: list[int]
    wanted: list[int]


def first_tokens(tokenizer: PreTrainedTokenizerBase | None, answer: Answer) -> list[int]:
    """The set of first tokens that an answer stands for, in the order given.

    Raises:
        InputError: a string is given without a tokenizer, or it encodes to nothing.
    """
    several: list[int | str] = [answer] if isinstance(answer, int | str) else list(answer)
    ids = []
    for one in several:
        if isinstance(one, int):
            if one < 0:
                raise InputError(f"the answer {one} is no token id.", mend="Ids count from 0.")
            ids.append(one)
            continue
        if tokenizer is None:
            raise InputError(f"the answer {one!r} is a string, but there is no tokenizer.", mend="Give token ids.")
        encoded = tokenizer(one, add_special_tokens=False)["input_ids"]
        if not encoded:
            raise InputError(f"the answer {one!r} has no tokens.", mend="Give a longer string or token ids.")
        ids.append(encoded[0])
    if not ids:
        raise InputError("an answer is empty.", mend="Give at least one token id or string.")
    return list(dict.fromkeys(ids))


def _encode_prompt(tokenizer: PreTrainedTokenizerBase | None, prompt: Prompt) -> list[int]:
    if not isinstance(prompt, str) and prompt and isinstance(prompt[0], int):
        return [int(token) for token in prompt]  # type: ignore[arg-type]
    if not prompt:
        raise InputError("a prompt is empty.", mend="Give text, token ids or chat messages.")
    if tokenizer is None:
        raise InputError("a prompt is not token ids, but there is no tokenizer.", mend="Give token ids.")
    if isinstance(prompt, str):
        ids: list[int] = tokenizer(prompt)["input_ids"]
        return ids
    return encode_chat(tokenizer, prompt)  # type: ignore[arg-type]


def encode_pair(tokenizer: PreTrainedTokenizerBase | None, pair: ContrastPair) -> EncodedPair:
    """Token ids of both prompts and both answers.

    Raises:
        InputError: something is empty, or the two answers share a first token.
    """
    unwanted, wanted = first_tokens(tokenizer, pair.unwanted), first_tokens(tokenizer, pair.wanted)
    if set(unwanted) & set(wanted):
        raise InputError(
            f"the answers {pair.unwanted!r} and {pair.wanted!r} share a first token.",
            mend="Choose answers that part at their first token.",
        )
    reference = _encode_prompt(tokenizer, pair.reference)
    return EncodedPair(reference, _encode_prompt(tokenizer, pair.counterfactual), unwanted, wanted)
