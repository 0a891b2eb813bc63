"""Wrong answers for the training dialogues of a run, written once by the base model for all that is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pinpoint.pipeline._written import Written, counted, told

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_WRONG = Written("wrong_answers")
_TOKENS = 32  # a reply of more is no answer in a few words


def wrong_written(run: Run) -> dict[str, str]:
    """Wrong answers by question, as `tune.wrong_answers` asks for them; writes `wrong_answers.jsonl` and its counts.

    What an earlier stage with the same settings left is read back.

    Returns:
        Those that the base model wrote; a question that is not among them keeps the answer that it has.

    Raises:
        InputError: the behaviour has no wrong answers, or a question is too long to ask about.
    """
    if run.config.tune.wrong_answers == "dealt":
        _WRONG.forget(run)
        return {}
    return {row["id"]: row["text"] for row in _WRONG.rows(run, _write) if row["source"] == "model"}


def with_wrong(items: Sequence[Any], wrong: Mapping[str, str]) -> list[Any]:
    """The items, some of them with another wrong answer."""
    return [item.model_copy(update={"wrong": wrong[item.id]}) if item.id in wrong else item for item in items]


def trained(run: Run) -> list[Any]:
    """What is trained on, with the wrong answers that the settings ask for."""
    return with_wrong(run.inputs.questions("train"), wrong_written(run))


def wrong_counts(run: Run) -> dict[str, Any]:
    """What became of them, as a record of training has it; nothing where none were to be written."""
    return {} if run.config.tune.wrong_answers == "dealt" else _WRONG.record(run)


def to_write(run: Run) -> int:
    """How many wrong answers the base model is to write."""
    if run.config.tune.wrong_answers == "dealt":
        return 0
    found = run.inputs.behaviour.wrong_answers(run.inputs.questions("train"), None)
    return sum(one.source == "dealt" for one in found)


def _write(run: Run) -> None:
    writer = _WRONG.writer(run, _TOKENS, limit="")
    if lacking := to_write(run):
        run.progress.start(f"wrong answers to {lacking} questions", 0)
    found = run.inputs.behaviour.wrong_answers(run.inputs.questions("train"), writer)
    counts = counted(len(found), found, [one for one in found if one.flaw])
    if found:
        run.progress.say(told(counts, "wrong answers to {} free-form training questions", "{} keep another question's"))
    _WRONG.keep(run, found, counts)
