"""Which heads are tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinpoint.errors import ArtifactError
from pinpoint.heads import Head
from pinpoint.pipeline._sweeps import swept_count

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


def chosen_heads(run: Run) -> list[Head]:
    """The heads to tune: named ones, or the first of the ranking, as many as the settings or a rule say.

    Raises:
        ArtifactError: `auto`, and knocking heads out did not lower the behaviour.
    """
    heads = run.config.tune.heads
    if isinstance(heads, tuple):
        return run.view.heads_of(heads)
    if isinstance(heads, int):
        return list(run.ranking()[:heads])
    most = run.config.tune.max_heads
    if heads == "validation":
        return list(run.ranking()[: swept_count(run, most)])
    auto = run.workspace.sub("verify").read_json("verify.json")["auto"]
    if auto is None:
        raise ArtifactError(
            "knocking heads out did not lower the behaviour, so `auto` cannot choose how many to tune.",
            where="verify/verify.json",
            mend="Look at the curve and give a number with --heads.",
        )
    return list(run.ranking()[: min(auto, most)])
