"""The answers that contrast pairs are measured by, where the settings leave them to the model's own replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pinpoint.artifacts import Workspace
from pinpoint.config import CONTINUED
from pinpoint.data import ContrastPair, encode_to_reply
from pinpoint.measure import Openings, first_tokens_of_replies, openings
from pinpoint.pipeline._checks import replies_show
from pinpoint.pipeline._contrasts import pairs_of
from pinpoint.pipeline._stages import partial_of

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_PROMPTS = 32
_TOKENS = 24  # an apology is recognised by what a reply says, not by how it begins alone
_FURTHER = 3
_FILE = "answers.json"


def answered(pairs: Sequence[ContrastPair], found: Openings | None) -> list[ContrastPair]:
    """The pairs with the answers that were found; as they are where none had to be, or none have been yet."""
    if found is None:
        return list(pairs)
    sides: Any = {side: found.ids(side) for side in ("unwanted", "wanted")}
    return [replace(pair, opening=tuple(found.shared), **sides) for pair in pairs]


def recorded_answers(workspace: Workspace) -> Openings | None:
    """What the locate stage of a run folder found; None where it has not run, or did not have to find any."""
    space = workspace.sub("locate")
    found = space.read_json("locate.json").get("answers") if space.has("locate.json") else None
    return None if found is None else Openings.model_validate(found)


def find_answers(run: Run) -> None:
    """Settles what the pairs of a run are measured by, before anything of it is located.

    What an interrupted locate stage found is taken again.

    Raises:
        InputError: no beginning of a reply tells references from counterfactuals.
        CheckFailed: the replies to references do not show the behaviour, or those to counterfactuals do.
    """
    if not run.inputs.answers_found:
        return
    space = partial_of(run, "locate")
    if space.has(_FILE):
        kept = space.read_json(_FILE)
        replies: dict[str, list[str]] = kept["replies"]
        found = Openings.model_validate(kept["answers"])
    else:
        found, replies = _found(run)
        space.write_json(_FILE, {"answers": found.model_dump(), "replies": replies})
    run.inputs.openings = found
    run.progress.say(f"answers: {found.summary}")
    if check := replies_show(run.inputs.behaviour, replies["reference"], replies["counterfactual"]):
        run.note(check)


def _found(run: Run) -> tuple[Openings, dict[str, list[str]]]:
    pairs, ranking_half, _ = run.inputs.halves
    if run.config.contrast not in ("", "affirmed"):
        # Only where the user agrees is there a word of standing by the answer.
        pairs = pairs_of(run, "affirmed")
    some = [pairs[i] for i in ranking_half[:_PROMPTS]]
    run.progress.start(f"replies to {len(some)} pairs, for what they begin with", 0)
    asked: list[Any] = [pair.reference for pair in some] + [pair.counterfactual for pair in some]
    prompts = [encode_to_reply(run.tokenizer, messages) for messages in asked]
    said = first_tokens_of_replies(run.model, run.tokenizer, prompts, _TOKENS)
    further = _FURTHER if run.config.locate.metric in CONTINUED else 0
    both = said[: len(some)], said[len(some) :]
    texts = [[str(run.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in kind] for kind in both]
    return openings(run.tokenizer, *both, further), {"reference": texts[0], "counterfactual": texts[1]}
