"""Whether the heads that come first would come first again, had other pairs been drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pinpoint.heads import HeadScores
from pinpoint.measure._stats import Estimate

_INTERVAL = (2.5, 97.5)


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
        other pairs; "correlation", Spearman's, over all heads. Each with the middle 95 % of the draws.
    """
    effects, fixed = _effects(scores), _effects(others).mean(axis=0)
    first, ranks = np.argsort(fixed, kind="stable")[:count], rankdata(fixed)
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((index.max() + 1, effects.shape[1]))
    np.add.at(sums, index, effects)
    rng = np.random.default_rng(seed)
    rows = []
    for size in sizes:
        draws = max(1, round(size * len(sums) / len(effects)))  # groups
        means = np.stack([sums[rng.integers(len(sums), size=draws)].sum(axis=0) for _ in range(resamples)])
        tops = np.argsort(means, axis=1, kind="stable")[:, :count]
        overlap = np.isin(tops, first).mean(axis=1)
        correlation = np.corrcoef(np.vstack([ranks, rankdata(means, axis=1)]))[0, 1:]
        rows.append({"pairs": size, "overlap": _middle(overlap, size), "correlation": _middle(correlation, size)})
    return rows


def _middle(values: np.ndarray, size: int) -> dict[str, Any]:
    low, high = np.percentile(values, _INTERVAL)
    return Estimate(float(values.mean()), float(low), float(high), size).to_json()
