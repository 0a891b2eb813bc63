"""Explanations of right answers for the training dialogues of a run, made once for all that is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinpoint.pipeline._written import Written, counted, told
from pinpoint.pipeline._wrong_answers import trained

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_EXPLANATIONS = Written("explanations")


def explained(run: Run) -> dict[str, str]:
    """Explanations by question, as `tune.explanations` asks for them; writes `explanations.jsonl` and its counts.

    What an earlier stage with the same settings left is read back.

    Raises:
        InputError: the behaviour has nothing to explain, or a question is too long to ask about.
    """
    if run.config.tune.explanations == "none":
        _EXPLANATIONS.forget(run)
        return {}
    return {row["id"]: row["text"] for row in _EXPLANATIONS.rows(run, _write) if row["text"]}


def explained_counts(run: Run) -> dict[str, Any]:
    """What became of them, as a record of training has it; nothing where none were asked for."""
    return {} if run.config.tune.explanations == "none" else _EXPLANATIONS.record(run)


def given(run: Run) -> dict[str, str]:
    """Those that the files hold, where they are asked for: what can be told without a model."""
    if run.config.tune.explanations == "none":
        return {}
    return {one.id: one.text for one in run.inputs.behaviour.explanations(run.inputs.questions("train"), None)}


def _write(run: Run) -> None:
    # A text that goes over to the wrong answer explains nothing: the one that is trained on has to be known.
    items, writer = trained(run), None
    if run.config.tune.explanations == "model":
        writer = _EXPLANATIONS.writer(run, run.config.tune.explanation_tokens, "tune.explanation_tokens")
        run.progress.start(f"explaining {len(items)} right answers", 0)
    found = run.inputs.behaviour.explanations(items, writer)
    kept, refused = ([one for one in found if bool(one.text) is used] for used in (True, False))
    counts = counted(len(items), kept, refused)
    run.progress.say(told(counts, "explanations for {} training questions", "{} of the model's refused"))
    _EXPLANATIONS.keep(run, found, counts)


def tell_of_unused(run: Run) -> None:
    """Says that the files hold explanations, where nobody asked for them."""
    unused = sum(bool(getattr(item, "explanation", "")) for item in run.inputs.questions("train"))
    if unused and run.config.tune.explanations == "none":
        run.progress.say(f"{unused} training questions bring an explanation; `tune.explanations: given` trains on them")
