"""The questions of a run: one set that is dealt to all stages, or sets of their own for some of them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pinpoint.behaviours._material import Material
from pinpoint.config import ROLES, DataConfig, QuestionSource
from pinpoint.data import (
    SHARES,
    BadRow,
    Corpus,
    Dealt,
    Passage,
    Published,
    Question,
    Shares,
    Split,
    deal,
    draw,
    in_normal_form,
    read_columns,
    read_published,
    read_questions,
    with_reasoning,
)
from pinpoint.errors import ConfigError, InputError
from pinpoint.measure import alike

_SPLITS: dict[str, tuple[Split, ...]] = {
    "locate": ("locate",),
    "train": ("train", "validation"),
    "evaluate": ("test",),
}


class _Set(NamedTuple):
    """What one file or folder gives.

    Attributes:
        source: the file or folder.
        questions: those that a stage may use.
        given: whether the file itself says which split a question is of.
    """

    source: QuestionSource
    questions: list[Question]
    given: bool

    def of(self, split: Split) -> list[Question]:
        return [question for question in self.questions if question.split == split]


class _Role(NamedTuple):
    """Sets for one stage, or for all that have none of their own.

    Attributes:
        name: the key that lists them; empty for `data.questions`.
        splits: those that its questions go to.
        sets: the sets.
        rows: of those sets that have no splits.
    """

    name: str
    splits: tuple[Split, ...]
    sets: list[_Set]
    rows: list[Published | BadRow]


def gathered(data: DataConfig, seed: int) -> Material:
    """Questions with splits: those of `data.questions`, and of the sets that stages have of their own.

    Raises:
        InputError: a file cannot be used, or two sets give one id to different questions.
    """
    unusable, noted = list[BadRow](), list[BadRow]()
    sets: list[_Set] = []
    for one in _reasoned(_read(data, seed), data.reasoned):
        sets += _dealt(one, seed, unusable, noted)
    _check_ids(sets)
    read = sum(len(one.questions) for one in sets)
    sets = _without(sets, _too_long(sets, data), unusable)
    if data.leave_out_shared:
        sets = _without(sets, _shared(sets), unusable)
    sets = _trained([_drawn(one, seed) for one in sets], data.dialogues // 2, seed)
    questions = [question for one in sets for question in one.questions]
    if not data.sources and sets[0].given and len(questions) == read:
        return Material(questions)
    summary = f"{Dealt(questions, unusable, noted).summary()}; {_of_training(sets, data)}"
    return Material(questions, summary, [row._asdict() for row in unusable])


def _read(data: DataConfig, seed: int) -> list[_Role]:
    named = dict(data.sources)
    rest = tuple(split for role in ROLES if role not in named for split in _SPLITS[role])
    one = QuestionSource(path=data.questions, columns=data.columns)
    found = [_of_role("", rest, [one], data, seed)] if rest else []
    return found + [_of_role(role, _SPLITS[role], some, data, seed) for role, some in named.items()]


def _of_role(
    name: str, splits: tuple[Split, ...], sources: Sequence[QuestionSource], data: DataConfig, seed: int
) -> _Role:
    found = _Role(name, splits, [], [])
    for number, source in enumerate(sources):
        given = source.columns is None and in_normal_form(source.path)
        questions = [one for one in read_questions(source.path) if one.split in splits] if given else []
        found.sets.append(_Set(source, questions, given))
        if not given:
            # Enough to leave some out and keep some for validation: of a large set, the rest is not looked through.
            most = min(source.questions or data.dialogues, data.dialogues) if name == "train" else None
            rows = _rows(source, most, seed)
            # Files of two sets may have one name.
            found.rows.extend([row._replace(line=f"{name}.{number}/{row.line}") for row in rows] if name else rows)
    return found


def _reasoned(roles: Sequence[_Role], names: Sequence[str]) -> list[_Role]:
    """With the multiple-choice questions of some sets marked, in whatever role the set is."""
    rows = [row for one in roles for row in one.rows]
    if names and not rows:
        raise ConfigError(
            "the questions are in the normal form, which says itself what is reasoned about.",
            where="data.reasoned",
            mend="Give their rows kind: reasoned.",
        )
    marked = iter(with_reasoning(rows, names))
    return [one._replace(rows=list(islice(marked, len(one.rows)))) for one in roles]


def _dealt(role: _Role, seed: int, unusable: list[BadRow], noted: list[BadRow]) -> list[_Set]:
    """Deals the rows of sets without splits together: what they share lies in one split."""
    dealt = deal(role.rows, seed, _shares(role.splits), alike=alike)
    sources = [one.source for one in role.sets]
    for question in dealt.questions:
        number, place = _placed(question.place, role.name, sources)
        role.sets[number].questions.append(question.at(place))
    for told, rows in ((unusable, dealt.unusable), (noted, dealt.noted)):
        told += [row._replace(line=_placed(row.line, role.name, sources)[1]) for row in rows]
    return role.sets


def _rows(source: QuestionSource, most: int | None, seed: int) -> list[Published | BadRow]:
    if source.columns is None:
        rows = read_published(source.path)
    else:
        rows = read_columns(source.path, source.columns.model_dump(exclude_none=True))
    if most is None:
        return rows
    usable = [row for row in rows if isinstance(row, Published)]
    return [*draw(usable, most, seed), *(row for row in rows if isinstance(row, BadRow))]


def _placed(line: str, role: str, sources: Sequence[QuestionSource]) -> tuple[int, str]:
    """Which set a row is of, and its file and line."""
    if not role:
        return 0, line
    tag, _, name = line.partition("/")
    number = int(tag.rpartition(".")[2])
    path = Path(sources[number].path)
    return number, str((path if path.is_dir() else path.parent) / name)


def _shares(splits: Sequence[Split]) -> Shares:
    if len(splits) == len(SHARES):
        return SHARES
    kept = [(split, share) for split, share in SHARES if split in splits]
    whole = sum(share for _, share in kept)
    return tuple((split, share / whole) for split, share in kept)


def _check_ids(sets: Sequence[_Set]) -> None:
    seen: dict[str, Question] = {}
    for one in sets:
        for question in one.questions:
            if (other := seen.setdefault(question.id, question)) is not question:
                raise InputError(
                    f"id {question.id!r} was already used in {other.place}.",
                    where=question.place,
                    mend="Ids are unique among all sets of a run.",
                )


def _without(sets: Sequence[_Set], left_out: Mapping[str, BadRow], unusable: list[BadRow]) -> list[_Set]:
    """The sets without some questions, which are listed as unusable."""
    unusable += left_out.values()
    return _kept(sets, lambda question: question.id not in left_out)


def _kept(sets: Sequence[_Set], wanted: Callable[[Question], bool]) -> list[_Set]:
    return [one._replace(questions=[question for question in one.questions if wanted(question)]) for one in sets]


def _too_long(sets: Sequence[_Set], data: DataConfig) -> dict[str, BadRow]:
    found: dict[str, BadRow] = {}
    for question in (question for one in sets for question in one.questions):
        limits = {"data.characters": data.characters}
        if question.split == "locate":
            limits["data.pair_characters"] = data.pair_characters
        for key, most in limits.items():
            if most is not None and len(question.question) > most:
                found.setdefault(question.id, BadRow(question.place, f"is longer than {most} characters ({key})"))
    return found


def _shared(sets: Sequence[_Set]) -> dict[str, BadRow]:
    """Questions that stand in a set of more weight too: evaluation before locating and validation before training."""
    questions = [question for one in sets for question in one.questions]
    corpus = Corpus([Passage(one.id, one.group, one.text, one.asks) for one in questions])
    places = {one.id: one.place for one in questions}
    weights = {"train": 0, "locate": 1, "validation": 1, "test": 2}
    found: dict[str, BadRow] = {}
    for weight, name in ((1, "locating and validation"), (0, "training")):
        firsts = [i for i, one in enumerate(questions) if weights[one.split] > weight and one.id not in found]
        seconds = [i for i, one in enumerate(questions) if weights[one.split] == weight]
        for overlap in corpus.overlaps(firsts, seconds):
            both = f"{places[overlap.second.place]} (as in {places[overlap.first.place]})"
            found[overlap.second.place] = BadRow(both, f"is shared and left out of {name} (data.leave_out_shared)")
    return found


def _drawn(one: _Set, seed: int) -> _Set:
    most = one.source.questions
    return one if most is None else one._replace(questions=draw(one.questions, most, seed))


def _trained(sets: Sequence[_Set], most: int, seed: int) -> list[_Set]:
    """At most so many questions to train on, as many of each set as far as it has them."""
    trained = [one.of("train") for one in sets]
    counts = _evenly([len(some) for some in trained], most)
    kept = {question.id for some, count in zip(trained, counts, strict=True) for question in draw(some, count, seed)}
    return _kept(sets, lambda question: question.split != "train" or question.id in kept)


def _evenly(sizes: Sequence[int], most: int) -> list[int]:
    counts = [0] * len(sizes)
    for done, i in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        counts[i] = min(sizes[i], (most - sum(counts)) // (len(sizes) - done))
    return counts


def _of_training(sets: Sequence[_Set], data: DataConfig) -> str:
    counts = [len(one.of("train")) for one in sets]
    there = 2 * sum(counts)
    told = f"{there:,} training dialogues"
    if there < data.dialogues - 1:
        told += f", all that there are questions for (data.dialogues: {data.dialogues:,})"
    several = [
        f"{count} of {'/'.join(Path(one.source.path).parts[-2:])}"
        for one, count in zip(sets, counts, strict=True)
        if count
    ]
    return told + (f", from {', '.join(several)}" if len(several) > 1 else "")
