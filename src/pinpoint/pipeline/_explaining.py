"""Explanations of right answers for the training dialogues of a run, made once for all that is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pinpoint.measure import Chat
from pinpoint.memory import BatchSize
from pinpoint.pipeline._stages import key_of, partial_of
from pinpoint.pipeline._wrong_answers import trained

if TYPE_CHECKING:
    from pinpoint.behaviours import Explanation
    from pinpoint.pipeline._run import Run

_ROWS, _COUNTS = "explanations.jsonl", "explanations.json"


def explained(run: Run) -> dict[str, str]:
    """Explanations by question, as `tune.explanations` asks for them; writes `explanations.jsonl` and its counts.

    What an earlier stage with the same settings left is read back.

    Raises:
        InputError: the behaviour has nothing to explain, or a question is too long to ask about.
    """
    space = run.workspace
    if run.config.tune.explanations == "none":
        space.drop(_ROWS)
        space.drop(_COUNTS)
        return {}
    if not (space.has(_COUNTS) and space.has(_ROWS) and space.read_json(_COUNTS)["key"] == key_of(run, "explanations")):
        _write(run)
    return {row["id"]: row["text"] for row in space.read_jsonl(_ROWS) if row["text"]}


def explained_counts(run: Run) -> dict[str, Any]:
    """What became of them, as a record of training has it; nothing where none were asked for."""
    if run.config.tune.explanations == "none":
        return {}
    counts = run.workspace.read_json(_COUNTS)
    return {"explanations": {name: count for name, count in counts.items() if name != "key"}}


def given(run: Run) -> dict[str, str]:
    """Those that the files hold, where they are asked for: what can be told without a model."""
    if run.config.tune.explanations == "none":
        return {}
    return {one.id: one.text for one in run.inputs.behaviour.explanations(run.inputs.questions("train"), None)}


def _write(run: Run) -> None:
    # A text that goes over to the wrong answer explains nothing: the one that is trained on has to be known.
    config, items, space = run.config, trained(run), run.workspace
    partial = partial_of(run, "explanations")
    writer = None
    if config.tune.explanations == "model":
        at_once = BatchSize(config.evaluate.batch_size, "evaluate.batch_size")
        writer = Chat(
            run.model,
            run.tokenizer,
            at_once,
            config.tune.explanation_tokens,
            journal=partial.journal("replies.jsonl"),
            limit="tune.explanation_tokens",
            thinks=False,  # a thought would count towards the tokens
        )
        run.progress.start(f"explaining {len(items)} right answers", 0)
    found = run.inputs.behaviour.explanations(items, writer)
    counts = _counts(found, len(items))
    run.progress.say(told(counts))
    # Stopped between the two, no key of other settings may stand beside these rows.
    space.drop(_COUNTS)
    space.write_jsonl(_ROWS, [one._asdict() for one in found])
    space.write_json(_COUNTS, {"key": key_of(run, "explanations"), **counts})
    space.drop(f"partial/{partial.root.name}")


def _counts(found: list[Explanation], questions: int) -> dict[str, Any]:
    kept = Counter(one.source for one in found if one.text)
    refused = Counter(one.flaw for one in found if not one.text)
    return {
        "questions": questions,
        "from_file": kept["file"],
        "written": kept["model"],
        "refused": dict(refused.most_common()),
    }


def told(counts: Mapping[str, Any]) -> str:
    """The counts as a line."""
    reasons = "; ".join(f"{n} x {reason}" for reason, n in counts["refused"].items())
    refused = f"; {sum(counts['refused'].values())} of the model's refused ({reasons})" if reasons else ""
    return (
        f"explanations for {counts['questions']} training questions: {counts['from_file']} from the file, "
        f"{counts['written']} by the model{refused}"
    )


def tell_of_unused(run: Run) -> None:
    """Says that the files hold explanations, where nobody asked for them."""
    unused = sum(bool(getattr(item, "explanation", "")) for item in run.inputs.questions("train"))
    if unused and run.config.tune.explanations == "none":
        run.progress.say(f"{unused} training questions bring an explanation; `tune.explanations: given` trains on them")
