"""Rules that tell whether a reply is as it should be."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from pinpoint.config import Rule
from pinpoint.data import Messages, first_tokens
from pinpoint.errors import InputError
from pinpoint.measure import letter_of, options_of

Tokenizer = PreTrainedTokenizerBase | None
Holds = Callable[[str, Sequence[str], Messages, Tokenizer], bool]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("’", "'").casefold()


def _contains(reply: str, target: str) -> bool:
    """Whether a text stands in a reply as whole words, case and typographic apostrophes aside."""
    wanted = _plain(target)

    # Scripts without spaces between words have no word ends to look for.
    def edge(letter: str, end: str) -> str:
        return end if letter.isalnum() and unicodedata.east_asian_width(letter) not in "WF" else ""

    pattern = edge(wanted[0], r"(?<!\w)") + re.escape(wanted) + edge(wanted[-1], r"(?!\w)")
    return re.search(pattern, _plain(reply)) is not None


def _contains_any(reply: str, targets: Sequence[str], *_: object) -> bool:
    return any(_contains(reply, target) for target in targets)


def _contains_all(reply: str, targets: Sequence[str], *_: object) -> bool:
    return all(_contains(reply, target) for target in targets)


def _regex(reply: str, targets: Sequence[str], *_: object) -> bool:
    return any(re.search(target, reply) for target in targets)


def _first_token(reply: str, targets: Sequence[str], prompt: Messages, tokenizer: Tokenizer) -> bool:
    if tokenizer is None:
        raise InputError(
            "the rule first_token needs the model's tokenizer, which an endpoint does not give.",
            where="behaviour.measures",
            mend="Measure by words: contains_any, contains_all or regex.",
        )
    said = tokenizer(reply, add_special_tokens=False)["input_ids"]
    return bool(said) and said[0] in first_tokens(tokenizer, list(targets))


def _letter(reply: str, targets: Sequence[str], prompt: Messages, tokenizer: Tokenizer) -> bool:
    listed = options_of(prompt[-1]["content"])
    return (letter_of(reply, listed) if listed else letter_of(reply)) in targets


_RULES: dict[Rule, Holds] = {
    "contains_any": _contains_any,
    "contains_all": _contains_all,
    "regex": _regex,
    "first_token": _first_token,
    "letter": _letter,
}


def holds(rule: Rule, reply: str, targets: Sequence[str], prompt: Messages, tokenizer: Tokenizer) -> bool:
    """Whether a reply does what a rule asks for.

    Args:
        rule: which rule.
        reply: what the model said.
        targets: what the rule looks for; regular expressions for `regex`, letters for `letter`.
        prompt: what it was said to; options are listed in its last message.
        tokenizer: the model's; None where it is not at hand.

    Raises:
        InputError: the rule needs a tokenizer, and there is none.
    """
    return _RULES[rule](reply, targets, prompt, tokenizer)
