"""Numbers in a text, each in one form by its value; what is written in LaTeX, in plain signs."""

import re
from fractions import Fraction

_BRACED = r"\{([^{}]*)\}"
_FRACTION = re.compile(rf"\\[dtc]?frac\s*(?:{_BRACED}|(\d))\s*(?:{_BRACED}|(\d))")
_DRESS = re.compile(rf"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it)|operatorname|[fm]?box|boxed)\s*{_BRACED}")
_ROOT = re.compile(rf"\\sqrt\s*(?:{_BRACED}|(\w))|√\s*")
_PLAIN = (
    (re.compile(r"\\(?:left|right|displaystyle|q?quad)(?![a-zA-Z])|\\[()\[\] ]"), " "),
    (re.compile(r"\\[,;:!]|\^\{?\\circ\}?|(?<=\d)\{,\}(?=\d)|(?<=[-−])\$(?=[\d.\\])"), ""),
    (re.compile(r"\\(?:times|cdot)(?![a-zA-Z])"), "×"),
    (re.compile(r"\\pi(?![a-zA-Z])|π"), " pi "),
    (re.compile(r"\\infty(?![a-zA-Z])|∞"), " infinity "),
    # Compatibility forms would make 21/2 of "2½", and 102 of "10²".
    (re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])"), " "),
    (re.compile(r"(?<=[\d)])(?=[\u00b2\u00b3\u00b9\u2070-\u2079])"), "^"),
)
_DRESSED = re.compile(r"[\\{$]")
_DEEP = 4  # fractions within fractions

# More digits than this are no number that anybody answers with.
_WHOLE = r"\d{1,30}"
_ANY = rf"{_WHOLE}(?:\.{_WHOLE})?"
_NUMBER = re.compile(
    rf"(?<![\w./])(?P<whole>{_WHOLE})\s+(?P<part>{_WHOLE})[/\u2044](?P<of>{_WHOLE})(?![\w/]|\.\d)"
    rf"|(?<![\w./])(?P<top>{_ANY})\s*[/\u2044]\s*(?P<under>{_ANY})(?![\w/]|\.\d)"
    rf"|(?<![\w.])(?P<decimal>(?:{_WHOLE})?\.{_WHOLE})(?!\d|\.\d)"
)
_TERM = r"[($]*[-−]?\d[\d.,]*[)%]*"
_WORKED = re.compile(rf"(?<![\w.]){_TERM}(?:\s*[-+*/×÷−]\s*{_TERM})+\s*=\s*(?=[($]*[-−]?[\d.\\])")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_MARKED = re.compile(r"^####\s*([-−]?\$?\d[\d.,/]*)\s*$", re.MULTILINE)
_A_NUMBER = re.compile(r"-?\d+(?:/\d+)?")


def plain(text: str) -> str:
    r"""A text whose fractions, roots and names in LaTeX are written in plain signs: "3/4" for \frac{3}{4}."""
    if text.isascii() and not _DRESSED.search(text):
        return text
    for _ in range(_DEEP if "\\" in text else 0):
        before, text = text, _FRACTION.sub(_over, _ROOT.sub(r" sqrt \1\2 ", _DRESS.sub(r" \1 ", text)))
        if text == before:
            break
    text = text.replace("√", " sqrt ")
    for form, sign in _PLAIN:
        text = form.sub(sign, text)
    return text


def _over(found: re.Match[str]) -> str:
    top, under = (found[1] or found[2] or "").strip(), (found[3] or found[4] or "").strip()
    apart = " " if found.start() and found.string[found.start() - 1].isalnum() else ""
    both = f"{top}/{under}" if re.fullmatch(rf"-?{_ANY}/{_ANY}", f"{top}/{under}") else f"({top})/({under})"
    return apart + both


def valued(text: str) -> str:
    """A text whose decimals and fractions are whole numbers or fractions in lowest terms: 0.75 and 6/8 are 3/4."""
    return _NUMBER.sub(_in_lowest_terms, text)


def _in_lowest_terms(found: re.Match[str]) -> str:
    part = found.groupdict()
    try:
        if part["whole"]:
            below = Fraction(f"{part['part']}/{part['of']}")
            return f"{part['whole']} {below} " if below >= 1 else f"{int(part['whole']) + below} "
        if part["top"]:
            return f"{Fraction(part['top']) / Fraction(part['under'])} "
        return f"{Fraction(part['decimal'])} "
    except ZeroDivisionError:
        return found[0]


def is_number(word: str) -> bool:
    """Whether a word of a text that was `valued` is a number, which is compared by value alone."""
    return _A_NUMBER.fullmatch(word) is not None


def without_working(text: str) -> str:
    """A text without the left sides of sums: what 40 + 2 = 42 gives is 42."""
    return _WORKED.sub("", text)


def set_apart(reply: str) -> str | None:
    """The answer that a reply sets apart as its last word, in a box of LaTeX or after "####"; None without one."""
    found = [*_BOXED.finditer(reply), *_MARKED.finditer(reply)]
    return max(found, key=re.Match.start)[1] if found else None
