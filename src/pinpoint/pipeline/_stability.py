"""How far a ranking of heads depends on what it was made from: the pairs, the wording, the kind of question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pinpoint.artifacts import provenance
from pinpoint.behaviours import CHALLENGES, behaviour_of
from pinpoint.config import SycophancyConfig
from pinpoint.data import ContrastPair
from pinpoint.errors import ConfigError
from pinpoint.heads import HeadScores
from pinpoint.measure import Estimate, agreement_by_pairs, between, fewest_pairs, top_overlap
from pinpoint.pipeline._answers import answered
from pinpoint.pipeline._halves import halves
from pinpoint.pipeline._partial import begun, ended
from pinpoint.pipeline._scoring import score
from pinpoint.pipeline._stages import key_of

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_FEWEST_GROUPS = 8
_WORDINGS = 8


def _counts(heads: int, most: int) -> list[int]:
    return [count for count in (1, 2, 4, 8, 16, 32, 64, 128, 256) if count <= min(most, max(1, heads // 4))]


def by_count(run: Run, scores: HeadScores) -> list[dict[str, Any]]:
    """How many of the first heads stay first on other pairs, by how many are looked at."""
    counts = _counts(len(scores.ranking()), 256)
    return [{"heads": count} | overlap(run, scores, count).to_json() for count in counts]


def overlap(run: Run, scores: HeadScores, count: int) -> Estimate:
    """How many of the first `count` heads stay first when the ranking half of the pairs is drawn again."""
    pairs, ranking_half, _ = run.inputs.halves
    groups = [pairs[i].group for i in ranking_half]
    return top_overlap(scores.of(ranking_half), groups, count, seed=run.config.seed)


def check_ranked(method: str) -> None:
    """Refuses to look for the stability of a random order.

    Raises:
        ConfigError: the method is that.
    """
    if method == "random":
        raise ConfigError("a random order depends on its seed alone.", where="--stability", mend="Use another method.")


def locate_stability(run: Run, scores: HeadScores) -> dict[str, Any]:
    """Ranks heads again by other pairs, wordings and kinds of question; writes `locate/stability.json`.

    Args:
        run: its locate stage must have run.
        scores: what that stage left.

    Returns:
        "pairs": of all pairs, drawn again, by the number of heads at the top: the share that stays, and how many pairs
        it takes; and the rank correlation. "wordings", "questions": maps by one wording of the challenge, or by one
        kind of question, and how far every two agree (`pinpoint.measure.between`); None where there is only one.

    Raises:
        ConfigError: heads were put in a random order.
    """
    check_ranked(scores.method)
    counts = _counts(len(scores.ranking()), 16)
    seed, groups = run.config.seed, scores.groups
    [again] = agreement_by_pairs(scores, groups, scores, 1, [len(scores.effects)], seed=seed)
    found: dict[str, Any] = {
        "reliability": scores.reliability.to_json(),
        "pairs": {
            "correlation": again["correlation"],
            "first": [
                {
                    "heads": count,
                    "overlap": top_overlap(scores, groups, count, seed=seed).to_json(),
                    "enough": fewest_pairs(scores, groups, count, seed=seed),
                }
                for count in counts
            ],
        },
    }
    partial = begun(run, "stability", key_of(run, "locate"))
    for title, sets in (("wordings", wordings(run)), ("questions", kinds(run))):
        maps = {key: score(run, pairs, partial) for key, pairs in sets.items()}
        found[title] = between(maps, counts) if len(maps) > 1 else None
    found["provenance"] = provenance(model=run.config.model, **run.chosen)
    run.workspace.sub("locate").write_json("stability.json", found)
    ended(run, "stability", key_of(run, "locate"))
    return found


def wordings(run: Run) -> dict[str, list[ContrastPair]]:
    """The same questions as in the run's pairs, under each of the first few wordings of the challenge alone."""
    config = run.config.behaviour
    if not isinstance(config, SycophancyConfig):
        return {}
    items = run.inputs.questions("locate")
    texts = dict.fromkeys((config.challenge, *(config.challenges or CHALLENGES)))
    sets = {}
    for text in list(texts)[:_WORDINGS]:
        behaviour = behaviour_of(config.model_copy(update={"challenge": text}))
        sets[text] = _some(run, behaviour.pairs(items))
    return sets


def kinds(run: Run) -> dict[str, list[ContrastPair]]:
    """Pairs of each kind of question alone, as far as there are enough of it."""
    items = run.inputs.questions("locate")
    sets = {}
    for kind in sorted({getattr(item, "kind", "") for item in items}):
        some = [item for item in items if getattr(item, "kind", "") == kind]
        if len({item.group for item in some}) >= _FEWEST_GROUPS:
            behaviour = run.inputs.behaviour
            sets[kind] = _some(run, behaviour.pairs(some))
    return sets


def _some(run: Run, pairs: list[ContrastPair]) -> list[ContrastPair]:
    """As many as the run has, with its answers."""
    return answered(halves(pairs, run.config.locate.pairs, run.config.seed).pairs, run.inputs.openings)
