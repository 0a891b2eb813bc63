"""Whether the heads that come first would come first again, had other pairs been drawn."""

from collections.abc import Sequence

import numpy as np

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
    found = range(scores.effects.shape[1]) if scores.layers is None else scores.layers
    effects = scores.effects[:, list(found)].flatten(1).double().numpy()  # [pair head]
    if scores.method == "probe":
        effects = -effects
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
