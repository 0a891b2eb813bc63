"""Questions that stand in two sets at once: by their text, and by runs of words.

Two practices are followed. Brown et al. 2020 (GPT-3, appendix C) take a run of 13 words in common for a sign that a
text was seen, and leave out runs that stand in more than ten documents, which are formulas. Chowdhery et al. 2022
(PaLM, section 8) ask for 70 % of a text's runs of 8 words; here that is for texts too short for the first. Sets made
from templates share such runs though they ask different things, so two texts so found are the same only if the shorter
says next to nothing that the longer does not, or if they have a passage in common.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pinpoint.data._scripts import UNSPACED, VOWELS

_LONG, _SHORT = 13, 8
_COMMON = 10  # a run of words in more groups than this is a formula
_SHARE = 0.7
_LACKING = 0.04  # of the shorter text's words, those that the longer one may lack: one in 25
_PASSAGE = 50  # words in common that are a passage, whatever is asked about it
# Of scripts that do not part words, a character counts for one. Signs tell one sum from another, and C from C#.
_SIGNS = r"[+*/^=<>×÷]|(?<=[^\W\d_])#|[-−](?=\s?\d)"
_ASCII = re.compile(rf"[^\W_]+|{_SIGNS}")
_WORD = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}])[^\W_]|[{VOWELS}])+|{_SIGNS}")
_MARKS = re.compile(r"[’'`´]")


class Passage(NamedTuple):
    """A text that stands in a set.

    Attributes:
        place: file and line.
        group: what it is about; wordings of one thing share it, and count once among those that use a formula.
        text: the text.
        asks: what it asks, where it is known, in one way or several: passages that have one in common are the same
            whatever their words. Empty for what is told by its words alone.
    """

    place: str
    group: str
    text: str
    asks: tuple[str, ...] = ()


class Overlap(NamedTuple):
    """A passage that stands in another set too.

    Attributes:
        first: a passage of the one set.
        second: the passage of the other.
        words: the words that they share; all of them where the texts are the same, and what they ask where it is told
            by that.
    """

    first: Passage
    second: Passage
    words: str


class _Runs(NamedTuple):
    """Runs of n words that are no formula, by their hash: whose each is, and where it begins among all words."""

    hashes: np.ndarray
    owners: np.ndarray
    begins: np.ndarray


class _Texts:
    """Texts as numbers: one for every word, and 64 random bits in its place."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        known: dict[str, int] = {}
        rows = [[known.setdefault(word, len(known)) for word in words_of(one.text)] for one in passages]
        self.words = list(known)
        self.keys = [tuple(row) for row in rows]
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self.ends = np.cumsum(self.lengths)
        self.ids = np.fromiter((word for row in rows for word in row), dtype=np.int64, count=int(self.lengths.sum()))
        bits = np.random.default_rng(0).integers(0, 2**63, size=max(1, len(known)), dtype=np.int64)
        self._bits = bits.astype(np.uint64)[self.ids]
        groups: dict[str, int] = {}
        self._groups = np.array([groups.setdefault(one.group, len(groups)) for one in passages], dtype=np.int64)

    def runs(self, size: int) -> _Runs:
        owners = np.repeat(np.arange(len(self.lengths)), self.lengths)
        begins = np.arange(len(self.ids))
        whole = begins + size <= self.ends[owners] if len(owners) else np.zeros(0, dtype=bool)
        owners, begins = owners[whole], begins[whole]
        hashes = np.zeros(len(begins), dtype=np.uint64)
        for offset in range(size):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + self._bits[begins + offset]
        return self._without_formulas(_Runs(hashes, owners, begins))

    def _without_formulas(self, runs: _Runs) -> _Runs:
        order = np.lexsort((self._groups[runs.owners], runs.hashes))
        hashes, groups = runs.hashes[order], self._groups[runs.owners][order]
        fresh = np.ones(len(order), dtype=bool)
        fresh[1:] = hashes[1:] != hashes[:-1]
        another = fresh.copy()
        another[1:] |= groups[1:] != groups[:-1]
        which = np.cumsum(fresh) - 1
        users = np.bincount(which, weights=another)
        kept = order[users[which] <= _COMMON]
        return _Runs(runs.hashes[kept], runs.owners[kept], runs.begins[kept])

    def said(self, begin: int, size: int) -> str:
        return " ".join(self.words[i] for i in self.ids[begin : begin + size])

    def short(self) -> np.ndarray:
        return (self.lengths >= _SHORT) & (self.lengths < _LONG)


def words_of(text: str) -> list[str]:
    """The words of a text without case, accents' encodings, apostrophes and punctuation."""
    if text.isascii():
        return _ASCII.findall(_MARKS.sub("", text.casefold()))
    return _WORD.findall(_MARKS.sub("", unicodedata.normalize("NFKC", text).casefold()))


def same_text(text: str) -> str:
    """A text such that two that differ in case, spaces and punctuation alone are equal."""
    return " ".join(words_of(text))


class Corpus:
    """Passages of several sets, looked through together, so that formulas are told by all of them.

    Linear in the number of words: 100,000 questions take seconds.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = list(passages)
        self._texts = _Texts(self._passages)
        self._long, self._brief = self._texts.runs(_LONG), self._texts.runs(_SHORT)

    def overlaps(self, first: Sequence[int], second: Sequence[int]) -> list[Overlap]:
        """The passages of `second` that stand in `first` too, each with one of those it shares words with.

        Args:
            first: indices of the passages of one set.
            second: those of another.
        """
        found: dict[int, tuple[int, str]] = {}
        texts: dict[tuple[int, ...], int] = {}
        asked: dict[str, int] = {}
        for i in first:
            texts.setdefault(self._texts.keys[i], i)
            for asks in self._passages[i].asks:
                asked.setdefault(asks, i)
        for i in second:
            if (there := texts.get(self._texts.keys[i])) is not None:
                found[i] = (there, same_text(self._passages[i].text))
            elif both := [asks for asks in self._passages[i].asks if asks in asked]:
                found[i] = (asked[both[0]], both[0])
        ones, others = self._mask(first), self._mask(second)
        met = _pairs(_met(self._long, ones, others), _LONG)
        met += _pairs(self._mostly_within(ones, others), _SHORT)
        back = _pairs(self._mostly_within(others, ones), _SHORT)
        met += [one._replace(mine=one.theirs, theirs=one.mine) for one in back]
        for pair in met:
            if pair.theirs not in found and self._alike(pair):
                found[pair.theirs] = (pair.mine, self._texts.said(min(pair.begins), pair.size))
        return [Overlap(self._passages[a], self._passages[b], words) for b, (a, words) in sorted(found.items())]

    def components(self) -> list[int]:
        """A number for each passage; those that share words, directly or through others, have the same one."""
        everything = np.ones(len(self._passages), dtype=bool)
        first: dict[object, int] = {}
        links: list[tuple[int, int]] = []
        for i, one in enumerate(self._passages):
            links += [(i, first.setdefault(key, i)) for key in (self._texts.keys[i], one.group)]
        hashes, owners = self._long.hashes, self._long.owners
        alike = hashes[1:] == hashes[:-1]
        links += zip(owners[:-1][alike].tolist(), owners[1:][alike].tolist(), strict=True)
        links += [one[:2] for one in self._mostly_within(everything, everything)]
        size = len(self._passages)
        rows, columns = zip(*links, strict=True) if links else ((), ())
        graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(size, size))
        return [int(label) for label in connected_components(graph, directed=False)[1]]

    def _mask(self, chosen: Sequence[int]) -> np.ndarray:
        mask = np.zeros(len(self._passages), dtype=bool)
        mask[np.asarray(chosen, dtype=np.int64)] = True
        return mask

    def _alike(self, pair: "_Pair") -> bool:
        if len(pair.begins) + pair.size > _PASSAGE:
            return True
        short, long = sorted((self._texts.keys[pair.mine], self._texts.keys[pair.theirs]), key=len)
        return (Counter(short) - Counter(long)).total() <= _LACKING * len(short)

    def _mostly_within(self, ones: np.ndarray, others: np.ndarray) -> list[tuple[int, int, int]]:
        """Short passages of `others` most of whose runs stand in `ones`, as `_met` has them."""
        met = _met(self._brief, ones, others & self._texts.short())
        counts: dict[int, set[int]] = {}
        for _, theirs, begin in met:
            counts.setdefault(theirs, set()).add(begin)
        lengths = self._texts.lengths
        enough = {i for i, begins in counts.items() if len(begins) >= _SHARE * (lengths[i] - _SHORT + 1)}
        return [one for one in met if one[1] in enough]


class _Pair(NamedTuple):
    """Two passages, and where the runs that they share begin in the second."""

    mine: int
    theirs: int
    begins: list[int]
    size: int


def _pairs(met: Iterable[tuple[int, int, int]], size: int) -> list[_Pair]:
    begins: dict[tuple[int, int], list[int]] = {}
    for mine, theirs, begin in met:
        begins.setdefault((mine, theirs), []).append(begin)
    return [_Pair(mine, theirs, where, size) for (mine, theirs), where in begins.items()]


def _met(runs: _Runs, ones: np.ndarray, others: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of `others` that stand in other passages, of `ones`: (owner there, owner here, where it begins here).

    Of the passages that a run stands in, the first and the last.
    """
    mine, theirs = ones[runs.owners], others[runs.owners]
    hashes, owners = runs.hashes[mine], runs.owners[mine]
    if not len(hashes):
        return []
    wanted, holders, begins = runs.hashes[theirs], runs.owners[theirs], runs.begins[theirs]
    low = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    high = np.maximum(np.searchsorted(hashes, wanted, side="right") - 1, 0)
    met: dict[tuple[int, int, int], None] = {}
    for at in (low, high):
        hit = (hashes[at] == wanted) & (owners[at] != holders)
        met |= dict.fromkeys(zip(owners[at][hit].tolist(), holders[hit].tolist(), begins[hit].tolist(), strict=True))
    return list(met)
