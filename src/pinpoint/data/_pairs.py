"""Contrast pairs: what locate compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from pinpoint.data._answers import Answer, InPlace, continuations, first_tokens
from pinpoint.data._chat import Message
from pinpoint.data._in_place import refuse_merged, tokens_of_reply
from pinpoint.data._thoughts import encode_to_reply
from pinpoint.errors import InputError

Prompt = str | Sequence[int] | Sequence[Message]


@dataclass(frozen=True)
class ContrastPair:
    """Two prompts that differ in what causes a behaviour, and the answers that tell it apart.

    Metrics of the next token read the first token of each answer; those of continuations (`logprob_diff`) all of them.

    Attributes:
        reference: the prompt on which the model shows the behaviour: token ids, text or chat messages. Messages are
            rendered up to where the reply starts, after an empty thought where the model would think first.
        counterfactual: the prompt on which it does not; any length.
        unwanted: how a reply with the behaviour starts: a string, a token id, or several of either; a continuation in
            token ids is a list within the list, [[5, 6, 7]]. After messages, a string has the tokens that the chat
            template gives it there.
        wanted: how the other reply starts, in the same forms.
        group: what the pair belongs to, for resampling whole groups.
        opening: token ids that the reply begins with on either side: they follow both prompts, and answers go on from
            them.

    Example:
        >>> import pinpoint
        >>> def pair(country, capital):
        ...     said = [
        ...         {"role": "user", "content": f"What is the capital of {country}?"},
        ...         {"role": "assistant", "content": f"The answer is {capital}."},
        ...     ]
        ...     doubted = [*said, {"role": "user", "content": "I don't think that's right. Are you sure?"}]
        ...     affirmed = [*said, {"role": "user", "content": "I do think that's right. Are you sure?"}]
        ...     return pinpoint.ContrastPair(doubted, affirmed, unwanted="Apologies", wanted="Yes", group=country)
        >>> capitals = {"Australia": "Canberra", "Egypt": "Cairo", "France": "Paris", "Peru": "Lima"}
        >>> pairs = [pair(country, capital) for country, capital in capitals.items()]
        >>> pairs[0].reference[-1]["content"]
        "I don't think that's right. Are you sure?"
    """

    reference: Prompt
    counterfactual: Prompt
    unwanted: Answer
    wanted: Answer
    group: str = ""
    opening: Sequence[int] = ()


class EncodedPair(NamedTuple):
    """A contrast pair in token ids.

    Attributes:
        reference: the prompt that is patched, with the pair's opening.
        counterfactual: the prompt that patches come from, with the same.
        unwanted: the first tokens of the unwanted answers; where there are `continuations`, their places among them.
        wanted: those of the wanted answers.
        continuations: every answer whole, where it is measured whole.
    """

    reference: list[int]
    counterfactual: list[int]
    unwanted: list[int]
    wanted: list[int]
    continuations: Sequence[list[int]] = ()


def groups_of(pairs: Sequence[ContrastPair]) -> tuple[str, ...]:
    """What each pair belongs to: its group, or a name of its own."""
    return tuple(pair.group or f"pair {i}" for i, pair in enumerate(pairs))


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
    return encode_to_reply(tokenizer, prompt)  # type: ignore[arg-type]


def _in_place(tokenizer: PreTrainedTokenizerBase | None, pair: ContrastPair) -> InPlace | None:
    """How answers are tokenised after the prompts; None for prompts in token ids, or after an opening in them."""
    if tokenizer is None or pair.opening:
        return None

    def placed(answer: str) -> list[int] | None:
        found = None
        for prompt in (pair.reference, pair.counterfactual):
            if isinstance(prompt, str):
                refuse_merged(tokenizer, prompt, answer)
            elif not isinstance(prompt[0], int):
                found = found or tokens_of_reply(tokenizer, prompt, answer)  # type: ignore[arg-type]
        return found

    return placed


def _apart(pair: ContrastPair, sides: tuple[list[list[int]], list[list[int]]]) -> None:
    """Refuses answers one of which goes on from another: the shorter one's probability would hold the longer one's."""
    every = sorted([*sides[0], *sides[1]])
    for shorter, longer in zip(every, every[1:], strict=False):
        if longer[: len(shorter)] == shorter:
            raise InputError(
                f"of the answers {pair.unwanted!r} and {pair.wanted!r}, one begins with the whole of another.",
                mend="Choose answers that part before either ends.",
            )


def encode_pair(
    tokenizer: PreTrainedTokenizerBase | None, pair: ContrastPair, *, continued: bool = False
) -> EncodedPair:
    """Token ids of both prompts and both answers.

    Args:
        tokenizer: may be None where prompts and answers are token ids.
        pair: the pair.
        continued: keep the answers whole, which may then begin alike; else their first tokens.

    Raises:
        InputError: something is empty, the tokenizer merges a prompt's end with an answer, the two answers share a
            first token, or, of whole ones, one begins with another.
    """
    both = (_encode_prompt(tokenizer, prompt) for prompt in (pair.reference, pair.counterfactual))
    reference, counterfactual = ([*ids, *pair.opening] for ids in both)
    place = _in_place(tokenizer, pair)
    if continued:
        sides = continuations(tokenizer, pair.unwanted, place), continuations(tokenizer, pair.wanted, place)
        _apart(pair, sides)
        border, end = len(sides[0]), len(sides[0]) + len(sides[1])
        places = list(range(border)), list(range(border, end))
        return EncodedPair(reference, counterfactual, *places, [*sides[0], *sides[1]])
    unwanted, wanted = first_tokens(tokenizer, pair.unwanted, place), first_tokens(tokenizer, pair.wanted, place)
    if set(unwanted) & set(wanted):
        raise InputError(
            f"the answers {pair.unwanted!r} and {pair.wanted!r} share a first token.",
            mend="Choose answers that part at their first token, or measure them whole: metric logprob_diff.",
        )
    return EncodedPair(reference, counterfactual, unwanted, wanted)
