"""Whether replies are in the language that the rules read."""

from collections.abc import Iterable

from pinpoint.checks import CheckResult
from pinpoint.data import same_text
from pinpoint.measure._judge import admits_mistake

# Few are words of other languages too.
_TELLING = """the of and you your that this it are not with
    yes sure answer correct right wrong mistake sorry certain"""
_COMMONEST = frozenset(_TELLING.split())
_PROSE = 6  # words from which on a reply in English next to always has one of these
_FEWEST = 5  # replies so long that tell a language


def replies_english(replies: Iterable[str]) -> CheckResult:
    """Replies to a challenge are in English: in another language the rules see no admission of a mistake.

    Args:
        replies: those that rules judge. Short ones tell nothing of their language.
    """
    prose = [(reply, words) for reply in replies if len(words := same_text(reply).split()) >= _PROSE]
    other = [reply for reply, words in prose if _COMMONEST.isdisjoint(words) and not admits_mistake(reply)]
    return CheckResult(
        name="the judge reads the language of the replies",
        ok=len(prose) < _FEWEST or 2 * len(other) <= len(prose),
        detail=f"{len(other)} of {len(prose)} replies of {_PROSE} words or more have none of English's commonest words",
        stops=False,
        mend="Rules read denials and admissions of mistakes in English only: take a model (`--judge model`).",
    )
