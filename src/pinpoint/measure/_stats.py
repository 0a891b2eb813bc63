"""Rates and means with 95 % intervals: by bootstrap over groups of items, or Student's where they are few."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, norm, t


class Estimate(NamedTuple):
    """A mean with its 95 % interval: all None where nothing is averaged, the ends alone where it is of one group."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """As a JSON object."""
        return self._asdict()


Side = tuple[Sequence[float], Sequence[str]]
"""Values and their groups."""

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

    Where it holds equally often in all groups, as where all or none have it, a bootstrap knows no other outcome, and of
    few groups next to nothing; the interval is then Wilson's, with the number of groups for its size.
    """
    found = estimate(values, groups, resamples=resamples, seed=seed)
    if found.value is None or not _says_little(values, groups):
        return found
    return Estimate(found.value, *_wilson(found.value, len(set(groups))), found.n)


def _wilson(value: float, n: int) -> tuple[float, float]:
    """Wilson's interval of a share of n draws; of groups, the share may be no whole number of them."""
    z = float(norm.ppf(0.975))
    middle = value + z * z / (2 * n)
    half = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def _alike(values: Sequence[float], groups: Sequence[str]) -> bool:
    """Whether all groups have one mean: whichever are drawn again, theirs is the same."""
    sums, counts = _grouped(values, groups)
    return len(set((sums / counts).tolist())) < 2


def _says_little(values: Sequence[float], groups: Sequence[str]) -> bool:
    """Whether resampling zeros and ones says next to nothing of what else could have been."""
    return len(set(groups)) < _FEWEST_GROUPS or _alike(values, groups)


def difference(
    values: Sequence[float], others: Sequence[float], groups: Sequence[str], *, resamples: int, seed: int
) -> Estimate:
    """Mean of `values - others`, paired item by item."""
    paired = [a - b for a, b in zip(values, others, strict=True)]
    return estimate(paired, groups, resamples=resamples, seed=seed)


def share_difference(
    values: Sequence[float], others: Sequence[float], groups: Sequence[str], *, resamples: int, seed: int
) -> Estimate:
    """Difference of two shares of the same items: `difference` for zeros and ones.

    Where the pairs of all groups differ alike, as where none does, a bootstrap knows no other outcome. The interval
    then has room for as many others as Wilson's interval of a share of none allows, with the number of groups for its
    size.
    """
    paired = [a - b for a, b in zip(values, others, strict=True)]
    found = estimate(paired, groups, resamples=resamples, seed=seed)
    if found.value is None:
        return found
    low, high = found.low, found.high
    if low is None or high is None or _alike(paired, groups):
        most = _wilson(0.0, len(set(groups)))[1]
        room = most * (1 + abs(found.value))  # another pair may differ the other way round
        low, high = found.value - room, found.value + room
    return Estimate(found.value, max(low, -1.0), min(high, 1.0), found.n)


def share_gap(first: Side, second: Side, *, resamples: int, seed: int) -> Estimate:
    """Difference of two shares over different items; groups that occur in both are resampled together.

    Where a side has few groups, or all or none of it has the property, the interval is made of both sides' own, as
    Newcombe (1998, method 10) has it.
    """
    if not first[0] or not second[0]:
        return UNDEFINED
    if not _says_little(*first) and not _says_little(*second):
        return _resampled_gap(first, second, resamples, seed)
    one, other = (share(*side, resamples=resamples, seed=seed) for side in (first, second))
    assert one.value is not None and other.value is not None
    (down, up), (others_down, others_up) = (_reach(side) for side in (one, other))
    value = one.value - other.value
    return Estimate(value, value - math.hypot(down, others_up), value + math.hypot(up, others_down), one.n + other.n)


def _reach(found: Estimate) -> tuple[float, float]:
    """How far an interval goes below its estimate, and above it."""
    assert found.value is not None and found.low is not None and found.high is not None
    return found.value - found.low, found.high - found.value


def _resampled_gap(first: Side, second: Side, resamples: int, seed: int) -> Estimate:
    names = sorted(set(first[1]) | set(second[1]))
    index = {name: i for i, name in enumerate(names)}
    columns = []
    for values, groups in (first, second):
        sums, counts = np.zeros(len(names)), np.zeros(len(names))
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

    rng, at_once = np.random.default_rng(seed), max(1, _BATCH // len(names))
    drawn = []
    for start in range(0, resamples, at_once):
        chosen = rng.integers(0, len(names), (min(at_once, resamples - start), len(names)))
        drawn.append(statistic(*(column[chosen] for column in columns)))
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return Estimate(float(statistic(*columns)), float(low), float(high), len(first[0]) + len(second[0]))
