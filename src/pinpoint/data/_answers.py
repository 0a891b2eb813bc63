"""Answers as token ids: whole continuations, or the tokens that they begin with."""

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from pinpoint.errors import InputError

Answer = int | str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]]
InPlace = Callable[[str], list[int] | None]


def continuations(
    tokenizer: PreTrainedTokenizerBase | None, answer: Answer, in_place: InPlace | None = None
) -> list[list[int]]:
    """Token ids of every continuation that an answer stands for, each once, in the order given.

    Args:
        tokenizer: may be None where the answer is token ids.
        answer: as in `ContrastPair`.
        in_place: what the tokens of a string are after a prompt; where it is not given or returns None, the string is
            tokenised by itself, without special tokens.

    Raises:
        InputError: a string is given without a tokenizer, an id is negative, or something is empty.
    """
    several: list[int | str | Sequence[int]] = [answer] if isinstance(answer, int | str) else list(answer)
    found = [tuple(_tokens(tokenizer, one, in_place)) for one in several]
    if not found:
        raise InputError("an answer is empty.", mend="Give at least one token id or string.")
    return [list(ids) for ids in dict.fromkeys(found)]


def _tokens(
    tokenizer: PreTrainedTokenizerBase | None, one: int | str | Sequence[int], in_place: InPlace | None
) -> list[int]:
    if isinstance(one, str):
        if tokenizer is None:
            raise InputError(f"the answer {one!r} is a string, but there is no tokenizer.", mend="Give token ids.")
        placed = in_place(one) if in_place and one else None
        ids: list[int] = tokenizer(one, add_special_tokens=False)["input_ids"] if placed is None else placed
    else:
        ids = [one] if isinstance(one, int) else [int(token) for token in one]
    if not ids:
        raise InputError(f"the answer {one!r} has no tokens.", mend="Give a longer string or token ids.")
    if min(ids) < 0:
        raise InputError(f"the answer {min(ids)} is not a token id.", mend="Ids count from 0.")
    return ids


def first_tokens(
    tokenizer: PreTrainedTokenizerBase | None, answer: Answer, in_place: InPlace | None = None
) -> list[int]:
    """The set of first tokens that an answer stands for, in the order given; as `continuations` in all else."""
    return list(dict.fromkeys(ids[0] for ids in continuations(tokenizer, answer, in_place)))
