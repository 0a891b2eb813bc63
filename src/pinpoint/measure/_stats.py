"""Rates and means with 95 % intervals: by bootstrap over groups of items, or Student's where they are few."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, bootstrap, t


class Estimate(NamedTuple):
    """A mean with its 95 % interval: all None where nothing is averaged, the ends alone where it is of one group."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """As a JSON object."""
        return self._asdict()


_FEWEST_GROUPS = 5  # below it, an interval by resampling says next to nothing
_BATCH = 10_000_000  # numbers resampled at once

UNDEFINED = Estimate(None, None, None, 0)


def _grouped(values: Sequence[float], groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of items of each group."""
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(index, weights=np.asarray(values, dtype=float)), np.bincount(index).astype(float)


def _around(value: float, pulls: np.ndarray, n: int) -> Estimate:
    """An estimate with Student's interval, from how far each of a few groups pulls it from `value`."""
    few = len(pulls)
    if few < 2:
        return Estimate(value, None, None, n)
    half = float(t.ppf(0.975, few - 1) * np.sqrt(few / (few - 1) * (pulls**2).sum()))
    return Estimate(value, value - half, value + half, n)


def estimate(values: Sequence[float], groups: Sequence[str], *, resamples: int, seed: int) -> Estimate:
    """Mean of `values` with a percentile bootstrap interval; below five groups, Student's. One group has none.

    Whole groups are resampled: several wordings of one question are not independent.

    Args:
        values: one number per item.
        groups: what each item belongs to.
        resamples: bootstrap resamples.
        seed: of the resampling; the same seed pairs the resamples of two models on the same items.
    """
    if not len(values):
        return UNDEFINED
    sums, counts = _grouped(values, groups)
    mean = float(sums.sum() / counts.sum())
    if len(sums) < _FEWEST_GROUPS:
        return _around(mean, (sums - mean * counts) / counts.sum(), len(values))
    result = bootstrap(
        (sums, counts),
        lambda s, c, axis: s.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _BATCH // len(sums)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(mean, float(result.low), float(result.high), len(values))


def share(values: Sequence[float], groups: Sequence[str], *, resamples: int, seed: int) -> Estimate:
    """Share of items that have a property: `estimate` for zeros and ones.

    Where all or none have it, a bootstrap knows no other outcome, and of few groups next to nothing; the interval is
    then Wilson's, with the number of groups for its size.
    """
    found = estimate(values, groups, resamples=resamples, seed=seed)
    n = len(set(groups))
    if found.value is None or (found.value not in (0.0, 1.0) and n >= _FEWEST_GROUPS):
        return found
    low, high = binomtest(round(found.value * n), n).proportion_ci(method="wilson")
    return Estimate(found.value, float(low), float(high), found.n)


def difference(
    values: Sequence[float], others: Sequence[float], groups: Sequence[str], *, resamples: int, seed: int
) -> Estimate:
    """Mean of `values - others`, paired item by item."""
    paired = [a - b for a, b in zip(values, others, strict=True)]
    return estimate(paired, groups, resamples=resamples, seed=seed)


def gap(
    first: tuple[Sequence[float], Sequence[str]],
    second: tuple[Sequence[float], Sequence[str]],
    *,
    resamples: int,
    seed: int,
) -> Estimate:
    """Difference of two means over different items; groups that occur in both are resampled together.

    Below five groups the interval is Student's, as that of `estimate`.
    """
    names = sorted(set(first[1]) | set(second[1]))
    if not first[0] or not second[0]:
        return UNDEFINED
    columns = []
    for values, groups in (first, second):
        sums, counts = np.zeros(len(names)), np.zeros(len(names))
        index = {name: i for i, name in enumerate(names)}
        for value, group in zip(values, groups, strict=True):
            sums[index[group]] += value
            counts[index[group]] += 1
        columns += [sums, counts]

    def statistic(*sample: np.ndarray) -> np.ndarray:
        a, n, b, m = (column.sum(axis=-1) for column in sample)
        # A resample may miss all items of one side: it says nothing then.
        with np.errstate(invalid="ignore"):
            result: np.ndarray = a / n - b / m
        return result

    value = float(statistic(*columns))
    if len(names) < _FEWEST_GROUPS:
        sides = zip(columns[::2], columns[1::2], strict=True)
        ours, theirs = ((sums - sums.sum() / counts.sum() * counts) / counts.sum() for sums, counts in sides)
        return _around(value, ours - theirs, len(first[0]) + len(second[0]))
    chosen = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    low, high = np.nanpercentile(statistic(*(column[chosen] for column in columns)), [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(first[0]) + len(second[0]))
