"""Scoring by the settings of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pinpoint.data import ContrastPair
from pinpoint.heads import HeadScores
from pinpoint.locate import locate, locate_nodes
from pinpoint.measure import head_means
from pinpoint.memory import BatchSize

if TYPE_CHECKING:
    from pinpoint.artifacts import Workspace
    from pinpoint.nodes import NodeScores
    from pinpoint.pipeline._run import Run


def score(run: Run, pairs: Sequence[ContrastPair], workspace: Workspace | None, **more: Any) -> HeadScores:
    """Scores all heads; `more` goes to `pinpoint.locate` as it is, before the settings."""
    config = run.config.locate
    own = {"method": config.method, "positions": config.positions, "seed": run.config.seed}
    asked = _common(run, workspace) | own | more
    if asked["method"] == "knockout":
        at_once = BatchSize(config.batch_size, "locate.batch_size")
        asked["means"] = head_means(run.view, run.tokenizer, run.inputs.neutral, at_once)
    return locate(run.model, run.tokenizer, pairs, **asked)


def score_nodes(run: Run, pairs: Sequence[ContrastPair], workspace: Workspace | None, **more: Any) -> NodeScores:
    """The same for all nodes that the settings ask for."""
    nodes = run.config.locate.nodes
    return locate_nodes(run.model, run.tokenizer, pairs, nodes=nodes, **_common(run, workspace) | more)


def _common(run: Run, workspace: Workspace | None) -> dict[str, Any]:
    config = run.config.locate
    return {
        "metric": config.metric,
        "engine": config.engine,
        "batch_size": config.batch_size,
        "rows_per_chunk": config.rows_per_chunk,
        "progress": run.progress,
        "workspace": workspace,
    }
