"""Wrong answers for the training dialogues of a run, written once by the base model for all that is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pinpoint.measure import Chat
from pinpoint.memory import BatchSize
from pinpoint.pipeline._stages import key_of, partial_of

if TYPE_CHECKING:
    from pinpoint.behaviours import WrongAnswer
    from pinpoint.pipeline._run import Run

_ROWS, _COUNTS = "wrong_answers.jsonl", "wrong_answers.json"
_TOKENS = 32  # a reply of more is no answer in a few words


def wrong_written(run: Run) -> dict[str, str]:
    """Wrong answers by question, as `tune.wrong_answers` asks for them; writes `wrong_answers.jsonl` and its counts.

    What an earlier stage with the same settings left is read back.

    Returns:
        Those that the base model wrote; a question that is not among them keeps the answer that it has.

    Raises:
        InputError: the behaviour has no wrong answers, or a question is too long to ask about.
    """
    space = run.workspace
    if run.config.tune.wrong_answers == "dealt":
        space.drop(_ROWS)
        space.drop(_COUNTS)
        return {}
    kept = space.has(_COUNTS) and space.has(_ROWS)
    if not (kept and space.read_json(_COUNTS)["key"] == key_of(run, "wrong_answers")):
        _write(run)
    return {row["id"]: row["text"] for row in space.read_jsonl(_ROWS) if row["source"] == "model"}


def with_wrong(items: Sequence[Any], wrong: Mapping[str, str]) -> list[Any]:
    """The items, some of them with another wrong answer."""
    return [item.model_copy(update={"wrong": wrong[item.id]}) if item.id in wrong else item for item in items]


def trained(run: Run) -> list[Any]:
    """What is trained on, with the wrong answers that the settings ask for."""
    return with_wrong(run.inputs.questions("train"), wrong_written(run))


def wrong_counts(run: Run) -> dict[str, Any]:
    """What became of them, as a record of training has it; nothing where none were to be written."""
    if run.config.tune.wrong_answers == "dealt":
        return {}
    counts = run.workspace.read_json(_COUNTS)
    return {"wrong_answers": {name: count for name, count in counts.items() if name != "key"}}


def to_write(run: Run) -> int:
    """How many wrong answers the base model is to write."""
    if run.config.tune.wrong_answers == "dealt":
        return 0
    found = run.inputs.behaviour.wrong_answers(run.inputs.questions("train"), None)
    return sum(one.source == "dealt" for one in found)


def _write(run: Run) -> None:
    items, space = run.inputs.questions("train"), run.workspace
    partial = partial_of(run, "wrong_answers")
    at_once = BatchSize(run.config.evaluate.batch_size, "evaluate.batch_size")
    # A thought would count towards the tokens, and few would come to the answer.
    journal = partial.journal("replies.jsonl")
    writer = Chat(run.model, run.tokenizer, at_once, _TOKENS, journal=journal, thinks=False)
    if lacking := to_write(run):
        run.progress.start(f"wrong answers to {lacking} questions", 0)
    found = run.inputs.behaviour.wrong_answers(items, writer)
    counts = _counts(found)
    if found:
        run.progress.say(told(counts))
    # Stopped between the two, no key of other settings may stand beside these rows.
    space.drop(_COUNTS)
    space.write_jsonl(_ROWS, [one._asdict() for one in found])
    space.write_json(_COUNTS, {"key": key_of(run, "wrong_answers"), **counts})
    space.drop(f"partial/{partial.root.name}")


def _counts(found: Sequence[WrongAnswer]) -> dict[str, Any]:
    sources = Counter(one.source for one in found)
    refused = Counter(one.flaw for one in found if one.flaw)
    return {
        "questions": len(found),
        "from_file": sources["file"],
        "written": sources["model"],
        "refused": dict(refused.most_common()),
    }


def told(counts: Mapping[str, Any]) -> str:
    """The counts as a line."""
    reasons = "; ".join(f"{n} x {reason}" for reason, n in counts["refused"].items())
    refused = f"; {sum(counts['refused'].values())} keep another question's ({reasons})" if reasons else ""
    return (
        f"wrong answers to {counts['questions']} free-form training questions: {counts['from_file']} from the file, "
        f"{counts['written']} by the model{refused}"
    )
