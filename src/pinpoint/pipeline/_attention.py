"""What the page shows of where heads look: measured with the scores, for whichever heads are tuned later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pinpoint.config import SycophancyConfig
from pinpoint.data import ContrastPair
from pinpoint.errors import InputError, OutOfMemory
from pinpoint.interventions import offloading
from pinpoint.measure import last_turn, looks

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

ATTENTION = "attention.safetensors"
_PAIRS = 16


def looked_at(run: Run, pairs: Sequence[ContrastPair]) -> list[range] | None:
    """The tokens of each reference that heads are asked about: the challenge; None for what sets prompts apart."""
    challenged = isinstance(run.config.behaviour, SycophancyConfig)
    return [last_turn(run.tokenizer, pair) for pair in pairs] if challenged else None


def look(run: Run) -> None:
    """Writes `locate/attention.safetensors`, of pairs that did not rank the heads; no model is stopped for it."""
    space = run.workspace.sub("locate")
    space.drop(ATTENTION)
    pairs, _, effect_half = run.inputs.halves
    some = [pairs[i] for i in effect_half[:_PAIRS]]
    spans = looked_at(run, some)
    if any(map(offloading, run.view.layers)):
        run.progress.say("the page will not show where heads look: the model would be fetched once for every pair")
        return
    run.progress.start("where heads look", 0)
    try:
        found = looks(run.view, run.tokenizer, some, spans)
    except (InputError, OutOfMemory, ValueError) as error:
        run.progress.say(f"the page will not show where heads look: {error}")
        return
    metadata = {
        "pairs": str(len(some)),
        "tokens": json.dumps([run.tokenizer.decode([token]) for token in found.ids]),
        "apart": json.dumps([found.apart.start, found.apart.stop]),
    }
    space.write_tensors(ATTENTION, {"shares": found.shares, "weights": found.weights.half()}, metadata)
