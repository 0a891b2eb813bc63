"""The rows of a user's behaviour, read from its files and held to its settings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pinpoint.behaviours._user_rows import EvaluationRow, PairRow, TrainRow
from pinpoint.config import AUTO, DataConfig, SplitFiles, UserBehaviourConfig, checked_targets, words_of
from pinpoint.data import Located, Message, read_rows, system
from pinpoint.errors import InputError


def read_items(config: UserBehaviourConfig) -> list[Any]:
    """Pairs for locating, training dialogues, evaluation dialogues for validation and test.

    Raises:
        InputError: a file cannot be used; names the file, the line and what is wrong.
    """
    reader = _Reader(config)
    items = reader.named(config.pairs, read_rows(config.pairs, PairRow), reader.pair)
    items += reader.named(config.train, read_rows(config.train, TrainRow), lambda row: row)
    if isinstance(config.evaluation, SplitFiles):
        for split, path in config.evaluation.model_dump().items():
            rows = [
                Located(line, row.model_copy(update={"split": split})) for line, row in read_rows(path, EvaluationRow)
            ]
            items += reader.named(path, rows, reader.judged)
    else:
        items += reader.named(config.evaluation, read_rows(config.evaluation, EvaluationRow), reader.judged)
    _check_measures(config, items)
    return items


class _Reader:
    def __init__(self, config: UserBehaviourConfig) -> None:
        self._config = config

    def named(self, path: str, rows: Sequence[Located], check: Callable[[Any], Any]) -> list[Any]:
        """Rows with an id, a group and the behaviour's system message, held to a check that raises ValueError."""
        named, seen = [], dict[str, int]()
        for line, row in rows:
            ident = row.id or f"{Path(path).stem}:{line}"
            try:
                if ident in seen:
                    raise ValueError(f"id {ident!r} was already used in line {seen[ident]}")
                checked = check(row)
            except ValueError as error:
                mend = "Mend the row, or leave it out; docs/behaviours.md shows the form."
                raise InputError(f"{error}.", where=f"{path}:{line}", mend=mend) from error
            seen[ident] = line
            prompts = {
                key: self._opened(getattr(checked, key))
                for key in ("reference", "counterfactual", "prompt")
                if hasattr(checked, key)
            }
            whole = checked.model_copy(update={"id": ident, "group": row.group or ident, **prompts})
            named.append(whole.at(f"{path}:{line}"))
        return named

    def _opened(self, messages: list[Message]) -> list[Message]:
        return messages if messages[0]["role"] == "system" else [*system(self._config.system), *messages]

    def pair(self, row: PairRow) -> PairRow:
        """With the first words that it lacks."""
        found = self._config.unwanted == AUTO
        given = {side: getattr(row, side) or words_of(getattr(self._config, side)) for side in ("unwanted", "wanted")}
        for side, texts in given.items():
            if texts and found:
                raise ValueError(f"{side} first words are given here, and the behaviour's file has them found (auto)")
            if not texts and not found:
                raise ValueError(f"no {side} first words: give {side!r} here, or for all pairs in the behaviour's file")
        if row.reference == row.counterfactual:
            raise ValueError("reference and counterfactual are the same")
        return row.model_copy(update=given)

    def judged(self, row: EvaluationRow) -> EvaluationRow:
        """With its measure, and the targets of that where it has none of its own."""
        known = self._config.measures
        name = row.measure or (next(iter(known)) if len(known) == 1 else "")
        if name not in known:
            raise ValueError(f"measure {name!r} is none of {', '.join(known)}")
        if row.split not in ("validation", "test"):
            raise ValueError("split must be 'validation' or 'test': add it, or name a file for each under `evaluation`")
        targets = checked_targets(known[name].rule, row.targets or known[name].targets)
        if not targets and known[name].rule != "model":
            raise ValueError(f"no targets: give them here, or for all rows of measure {name!r}")
        return row.model_copy(update={"measure": name, "targets": targets})


def _check_measures(config: UserBehaviourConfig, items: Sequence[Any]) -> None:
    there = {(item.measure, item.split) for item in items if hasattr(item, "measure")}
    for name, settings in config.measures.items():
        # What another model tells is not asked on the way: it needs no dialogues for validation.
        for split in ("validation", "test") if settings.rule != "model" else ("test",):
            if (name, split) not in there:
                raise InputError(
                    f"measure {name!r} has no dialogue of split {split!r}.",
                    where=", ".join(dict.fromkeys(config.files(DataConfig()).values())),
                    mend="Give some of both splits for every measure, or take the measure out.",
                )
