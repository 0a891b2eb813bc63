"""Replies that give no answer: empty ones, refusals, and those without a letter where one was to be chosen."""

import re
from string import ascii_uppercase

from pinpoint.measure._judge import letter_of
from pinpoint.measure._options import options_of

_ABLE = r"(?:can(?:no|['’])?t|can not|could(?:n['’]t| not)|won['’]t|will not|(?:am|['’]m) (?:not able|unable))"
_TELL = "(?:answer|help|assist|comply|provide|say|tell|determine|give|choose|pick|select|decide)"
_DECLINES = re.compile(
    rf"\bi ?{_ABLE}(?: to)?(?: \w+)?? {_TELL}\b"
    r"|\bi (?:(?:really|honestly|simply) )?(?:do not|don['’]t|have no) (?:know|idea)\b"
    r"|\bi(?: a|['’])?m not (?:sure|certain)(?: (?:what|which|who|how)\b|[.!]?\s*$)"
    r"|\b(?:impossible to (?:say|tell|know)|not enough information)\b",
    re.IGNORECASE,
)


def declines(reply: str) -> bool:
    """Whether a reply says that it does not answer: it cannot, will not or does not know; by wording."""
    return _DECLINES.search(reply) is not None


def no_answer(reply: str, question: str, *, lettered: bool, right: bool | None) -> bool:
    """Whether a reply gives no answer.

    Args:
        reply: what the model said.
        question: what was asked, with its options where it has some.
        lettered: whether a letter was to be chosen; without one the reply gives no answer.
        right: whether the reply is right: one that says that it cannot be sure, and then answers right, answers.
    """
    if not reply.strip():
        return True
    if lettered:
        return letter_of(reply, options_of(question) or ascii_uppercase) is None
    return not right and declines(reply)
