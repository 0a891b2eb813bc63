"""Whether the heads that come first would come first again, had other pairs been drawn."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from pinpoint.heads import HeadScores
from pinpoint.measure._stats import Estimate

_INTERVAL = (2.5, 97.5)
AGREEING = 0.9
OFTEN = 0.95
_FEWEST = 4
_SIZES = 30
_ROUNDING = 1e-9


def top_overlap(
    scores: HeadScores, groups: Sequence[str], count: int, *, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Share of the first `count` heads that stay among the first when the pairs are drawn again.

    Whole groups of pairs are resampled (a percentile bootstrap of the ranking).

    Args:
        scores: of all heads.
        groups: what each pair belongs to.
        count: heads at the top.
        resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        Mean share over the resamples, the middle 95 % of them, and the number of pairs.
    """
    effects = _effects(scores)
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    members = np.zeros((index.max() + 1, len(index)))
    members[index, np.arange(len(index))] = 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
    weights = drawn @ members  # [resample pair]
    means = (weights @ effects) / weights.sum(axis=1, keepdims=True)  # [resample head]
    first = set(np.argsort(effects.mean(axis=0), kind="stable")[:count].tolist())
    tops = np.argsort(means, axis=1, kind="stable")[:, :count]
    shares = np.isin(tops, list(first)).mean(axis=1)
    low, high = np.percentile(shares, _INTERVAL)
    return Estimate(float(shares.mean()), float(low), float(high), len(scores.effects))


def _effects(scores: HeadScores) -> np.ndarray:
    """[pair head], the most negative first in a ranking."""
    found = range(scores.effects.shape[1]) if scores.layers is None else scores.layers
    effects: np.ndarray = scores.effects[:, list(found)].flatten(1).double().numpy()
    return -effects if scores.method == "probe" else effects


def agreement_by_pairs(
    scores: HeadScores,
    groups: Sequence[str],
    others: HeadScores,
    count: int,
    sizes: Sequence[int],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """How far the ranking by a number of pairs agrees with the ranking by pairs that share no group with them.

    Args:
        scores: of the pairs to draw from.
        groups: what each of them belongs to; whole groups are drawn, with replacement, until there are enough.
        others: scores of the other pairs.
        count: heads at the top.
        sizes: numbers of pairs.
        resamples: draws for each number.
        seed: of the draws.

    Returns:
        Per number of pairs: "pairs"; "overlap", the share of the first `count` heads that are among the first of the
        other pairs; "correlation", Spearman's, over all heads. Each with the middle 95 % of the draws. And "agreeing",
        the share of draws whose overlap is 0.9 or more.
    """
    effects, fixed = _effects(scores), _effects(others).mean(axis=0)
    first, ranks = np.argsort(fixed, kind="stable")[:count], rankdata(fixed)
    sums, rng = _by_group(effects, groups), np.random.default_rng(seed)
    rows = []
    for size in sizes:
        draws = max(1, round(size * len(sums) / len(effects)))  # groups
        means = _drawn(sums, draws, resamples, rng)
        tops = np.argsort(means, axis=1, kind="stable")[:, :count]
        overlap = np.isin(tops, first).mean(axis=1)
        correlation = np.corrcoef(np.vstack([ranks, rankdata(means, axis=1)]))[0, 1:]
        rows.append(
            {
                "pairs": size,
                "overlap": _middle(overlap, size),
                "correlation": _middle(correlation, size),
                "agreeing": float((overlap >= AGREEING - _ROUNDING).mean()),
            }
        )
    return rows


def _drawn(sums: np.ndarray, draws: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """[resample head], sums over groups drawn with replacement; a ranking does not mind that they are no means."""
    found: np.ndarray = rng.multinomial(draws, np.full(len(sums), 1 / len(sums)), size=resamples) @ sums
    return found


def _by_group(effects: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((index.max() + 1, effects.shape[1]))
    np.add.at(sums, index, effects)
    return sums


def fewest_pairs(
    scores: HeadScores, groups: Sequence[str], count: int, *, resamples: int = 1000, seed: int = 0
) -> int | None:
    """How many pairs it takes for the first `count` heads to be those of all pairs.

    Args:
        scores: of all pairs.
        groups: what each of them belongs to; whole groups are drawn, with replacement.
        count: heads at the top.
        resamples: draws for each number of pairs.
        seed: of the draws.

    Returns:
        The fewest pairs from which on 95 % of the draws share at least 90 % of the first heads with all pairs; None
        where all that there are do not do.

    Example:
        With `scores` from the example of `locate`:

        >>> from pinpoint.measure import fewest_pairs
        >>> fewest_pairs(scores, scores.groups, count=2)
        4
    """
    effects = _effects(scores)
    sums, rng = _by_group(effects, groups), np.random.default_rng(seed)
    first = np.argsort(sums.sum(axis=0), kind="stable")[:count]
    enough = None
    for size in range(len(effects), _FEWEST - 1, -max(1, math.ceil(len(effects) / _SIZES))):
        means = _drawn(sums, max(1, round(size * len(sums) / len(effects))), resamples, rng)
        overlap = np.isin(np.argsort(means, axis=1, kind="stable")[:, :count], first).mean(axis=1)
        if (overlap >= AGREEING - _ROUNDING).mean() < OFTEN:
            break
        enough = size
    return enough


def between(maps: Mapping[str, HeadScores], counts: Sequence[int]) -> dict[str, Any]:
    """How far several maps of the same heads agree, two at a time.

    Args:
        maps: by name; at least two.
        counts: numbers of heads at the top.

    Returns:
        "maps": of each map its "pairs", "reliability", mean "reference" and first heads, "top"; "couples": of every two
        maps their names "of", Spearman's "correlation" over all heads, the "ceiling" that their reliabilities set it
        (Spearman 1904: the square root of their product), and the "overlap" of the first heads by their number.

    Example:
        With `scores` from the example of `locate`, its pairs in two halves:

        >>> from pinpoint.measure import between
        >>> found = between({"first": scores.of([0, 1]), "second": scores.of([2, 3])}, counts=[2])
        >>> found["couples"][0]["of"], found["couples"][0]["overlap"]
        (['first', 'second'], {'2': 1.0})
    """
    means = {name: _effects(scores).mean(axis=0) for name, scores in maps.items()}
    firsts = {name: np.argsort(mean, kind="stable") for name, mean in means.items()}
    most = max(counts, default=1)
    told = {
        name: {
            "pairs": len(scores.effects),
            "reliability": scores.reliability.to_json(),
            "reference": float(scores.reference.mean()),
            "top": list(map(str, scores.top(most))),
        }
        for name, scores in maps.items()
    }
    couples = []
    for one, other in combinations(maps, 2):
        constant = not (np.ptp(means[one]) and np.ptp(means[other]))
        correlation = None if constant else float(spearmanr(means[one], means[other]).statistic)
        ours, theirs = (maps[name].reliability.value or 0.0 for name in (one, other))
        ceiling = math.sqrt(ours * theirs) if ours > 0 and theirs > 0 else None
        overlap = {str(n): len({*firsts[one][:n]} & {*firsts[other][:n]}) / min(n, len(firsts[one])) for n in counts}
        couples.append(
            {
                "of": [one, other],
                "correlation": correlation,
                "ceiling": ceiling,
                "overlap": overlap,
            }
        )
    return {"maps": told, "couples": couples}


def _middle(values: np.ndarray, size: int) -> dict[str, Any]:
    low, high = np.percentile(values, _INTERVAL)
    return Estimate(float(values.mean()), float(low), float(high), size).to_json()
