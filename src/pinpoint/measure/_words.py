"""Whether a text names an answer: words without their dress, with small slips let through."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from os.path import commonprefix
from typing import NamedTuple

from pinpoint.data import UNSPACED, VOWELS
from pinpoint.measure._numbers import is_number, plain, valued

_NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen"""
_DIGITS = {word: number for number, word in enumerate(_NUMBERS.split())}
_BY_TEN = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * number for number, word in enumerate(_BY_TEN.split(), 2)}
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)})(?:[- ]({'|'.join(list(_DIGITS)[1:10])}))?\b")
_LIGHT = frozenset(("the", "a", "an", "of", "and", "in", "to", "it", "mr", "mrs", "dr", "sir", "st"))
_PEOPLE = ("n", "an", "ian", "ish", "ese", "i", "ic", "er")  # Korea, Korean; Jews, Jewish
_FORMS = ({"e", "ing"}, {"y", "er"}, {"y", "ic"})  # smoke, smoking; photography, photographer
# An answer that stands for two: "X or Y", "X/Y"; but 3/4 is one number, and sqrt(3)/2 one term.
_EITHER = re.compile(r"\s+or\s+|(?<![\d)}\]])\s*/\s*(?![\d({\[])")
_BRACKETS = re.compile(r"\([^)]*\)|（[^）]*）")
_NUMBER = r"(?:(?<![\w)])-(?=\d))?(?:(?<![\w/])\d+/\d+(?![\w/])|"
_SHARP = rf"(?:(?<=[^\W\d])(?:#|\+\+?)(?![^\W{UNSPACED}]))?)"  # C#, C++ and O+ are not C and O
_ASCII = re.compile(rf"{_NUMBER}[^\W_]+{_SHARP}")
# Words of other scripts and numbers stand within one that parts none, and are words of their own.
_LETTER = rf"(?:[^\W_]|[{VOWELS}])"
_WORD = re.compile(rf"{_NUMBER}(?:(?=[{UNSPACED}]){_LETTER})+|(?:(?![{UNSPACED}]){_LETTER})+{_SHARP}")
_UNSPACED = re.compile(rf"[{UNSPACED}]")
_PAUSES = frozenset("-–—=/")
_DRESS = " \t*_`\"'“”‘’()[].,;:!?"
_ROMAN = re.compile(r"[ivxlcdm]+")
_DECADE = re.compile(r"\d{3}0s")
_INDIC = 0x900  # the first script whose marks are more than accents
_TYPO = 0.9  # similarity at which two long words count as one; Austria and Australia are below it
_LOOSE = 2  # other words, light ones apart, that may stand between those of an answer


class Span(NamedTuple):
    """Where an answer is named: the first of its words, and one past the last."""

    start: int
    end: int


def _words_in(text: str) -> list[str]:
    return (_ASCII if text.isascii() else _WORD).findall(text)


def words(text: str) -> list[str]:
    """Words without case, accents, apostrophes and thousands separators, LaTeX in plain signs.

    Numbers have their sign; those to 99 are digits, decimals and fractions are in lowest terms.
    """
    bare = unicodedata.normalize("NFKD", plain(text))
    if not bare.isascii():
        # Later scripts' marks are no accents: they make another letter of one.
        kept = (c for c in bare if ord(c) >= _INDIC or not unicodedata.combining(c))
        bare = unicodedata.normalize("NFC", "".join(kept))
    bare = bare.casefold().replace("−", "-")
    bare = re.sub(r"[’'`´]", "", re.sub(r"(?<=\d),(?=\d{3})", "", bare))
    bare = _COMPOUND.sub(lambda found: str(_TENS[found[1]] + _DIGITS.get(found[2], 0)), bare)
    return [str(_DIGITS[word]) if word in _DIGITS else word for word in _words_in(valued(bare))]


def singular(word: str) -> str:
    """A noun without the ending of its plural; a word that has none may lose its last letter."""
    if len(word) > 5 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _swapped(a: str, b: str) -> bool:
    """Equal but for two neighbouring letters that changed places."""
    apart = [i for i, (one, other) in enumerate(zip(a, b, strict=True)) if one != other]
    return len(apart) == 2 and apart[1] == apart[0] + 1 and a[apart[0]] == b[apart[1]] and a[apart[1]] == b[apart[0]]


def same(said: str, word: str) -> bool:
    """The same word, but for number, form, a small slip of spelling, or country and people; a year says its decade."""
    return said[0] == word[0] and _same(said, word)


@lru_cache(maxsize=2**16)
def _same(said: str, word: str) -> bool:
    if _DECADE.fullmatch(word):
        return said[:3] == word[:3] and re.fullmatch(r"\d{4}s?", said) is not None
    short, long = sorted((singular(said), singular(word)), key=len)
    if short == long or (_ROMAN.fullmatch(short) and _ROMAN.fullmatch(long)):
        return short == long
    if len(short) >= 3 and long.startswith(short) and long[len(short) :] in _PEOPLE:
        return True
    shared = len(commonprefix((short, long)))
    if shared >= 4 and {short[shared:], long[shared:]} in _FORMS:
        return True
    if min(len(said), len(word)) < 6 or is_number(said) or is_number(word):
        return False
    return (len(said) == len(word) and _swapped(said, word)) or SequenceMatcher(None, said, word).ratio() >= _TYPO


def spellings(answers: Iterable[str]) -> list[list[str]]:
    """The words that must stand together for an answer to be named; "X or Y" and "X/Y" are two answers.

    For texts that are `spelled` for these answers.
    """
    found = []
    for answer in answers:
        if sign := _sign(answer):
            found.append([_word_for(sign)])
            continue
        answer = plain(answer)
        bare = _BRACKETS.sub(" ", answer)
        for part in _EITHER.split(bare if bare == answer or words(bare) else answer):
            every = words(part)
            heavy = [word for word in every if word not in _LIGHT]
            # At the end, "a" is a name: vitamin A is not vitamin C.
            heavy = heavy + ["a"] if heavy and every[-1] == "a" else heavy or every
            if heavy:
                found.append(heavy)
    return found


def _sign(answer: str) -> str:
    """An answer that has no word: "+", a picture."""
    return "" if any(map(str.isalnum, answer)) or words(answer) else answer.strip()


def _word_for(sign: str) -> str:
    # A number, so that no slip of spelling makes another sign of it.
    return "".join(f"{ord(one):07}" for one in sign)


def _bordered(part: str) -> str:
    """A pattern for what is no part of a longer number or of a longer word of a script that parts words."""

    def kind(one: str) -> str:
        return r"\d" if one.isdigit() else "" if _UNSPACED.match(one) else rf"[^\W\d_{UNSPACED}]"

    before, after = kind(part[0]), kind(part[-1])
    return (before and f"(?<!{before})") + re.escape(part) + (after and f"(?!{after})")


def spelled(text: str, answers: Iterable[str]) -> str:
    """A text in which answers stand as words: those within a script that parts none, and those that have none.

    An answer that has no word is one only where it stands alone; a dash that goes on is punctuation.
    """
    answers = list(answers)
    bare = (_BRACKETS.sub(" ", unicodedata.normalize("NFKC", one)) for one in answers if not one.isascii())
    parts = {part.strip(_DRESS) for answer in bare for part in re.split(r"[\s/]+", answer) if _UNSPACED.search(part)}
    if parts:
        longest = sorted(parts, key=lambda part: (-len(part), part))
        text = unicodedata.normalize("NFKC", text)
        text = re.sub("|".join(map(_bordered, longest)), r" \g<0> ", text, flags=re.IGNORECASE)
    signs = set(filter(None, map(_sign, answers)))
    if not signs:
        return text

    def named(found: re.Match[str]) -> str:
        bare = found[0] if found[0] in signs else found[0].strip(_DRESS)
        if bare not in signs or (found[0] in _PAUSES and text[found.end() :].strip()):
            return found[0]
        return _word_for(bare)

    return re.sub(r"\S+", named, text)


def _is_at(tokens: Sequence[str], i: int, answer: Sequence[str], word: str) -> bool:
    """Whether a word of an answer stands there; an "a" that ends the answer stands right after the word before it."""
    if word == "a" and len(answer) > 1:
        return i > 0 and tokens[i] == word and same(tokens[i - 1], answer[-2])
    return same(tokens[i], word)


def _place(tokens: Sequence[str], answer: Sequence[str], start: int) -> Span | None:
    """Its words in any order, no more than a few others between them, from `start` on."""
    end, room = start, len(answer) + _LOOSE
    while end < len(tokens) and (room := room - (tokens[end] not in _LIGHT or tokens[end] in answer)) >= 0:
        end += 1
    firsts = [next((i for i in range(start, end) if _is_at(tokens, i, answer, word)), -1) for word in answer]
    return Span(start, max(firsts) + 1) if min(firsts) >= 0 else None


def mentions(tokens: Sequence[str], answers: Sequence[Sequence[str]]) -> Iterator[Span]:
    """Every place where all words of one of the answers stand close together, none within another."""
    end = 0
    for start, token in enumerate(tokens):
        if start < end:
            continue
        for answer in answers:
            if any(same(token, word) for word in answer) and (span := _place(tokens, answer, start)):
                yield span
                end = span.end
                break
