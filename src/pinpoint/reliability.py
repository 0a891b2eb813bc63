"""What a map of scores is worth: how far it would come out again, and what rounding alone puts into it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pinpoint.numerals import with_interval

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

HALVINGS = 1000

_INTERVAL = (2.5, 97.5)
_FEWEST_GROUPS = 4


class Reliability(NamedTuple):
    """Split-half reliability of a map of scores; all None where it is undefined.

    Attributes:
        value: mean over the halvings of Spearman's rank correlation between the maps of both halves, stepped up to the
            whole by the Spearman-Brown formula.
        low: the middle 95 % of the halvings begin here. Their spread is not a confidence interval for other pairs:
            every halving deals the same ones.
        high: and end here.
        halvings: how often the pairs were dealt to two halves.
        pairs: pairs that the map is of.

    Example:
        With `scores` from the example of `locate`:

        >>> found = scores.reliability
        >>> found.pairs, found.halvings, found.low < found.value < found.high
        (4, 1000, True)
    """

    value: float | None
    low: float | None
    high: float | None
    halvings: int
    pairs: int

    def __str__(self) -> str:
        return "undefined" if self.value is None else with_interval(self._asdict(), ".3f")

    def pairs_for(self, wanted: float) -> int | None:
        """Pairs from which the map would be as reliable as wanted; None where its own is undefined, or not above 0.

        The Spearman-Brown formula (Spearman 1910; Brown 1910), solved for the length: n w (1 - r) / (r (1 - w)).
        """
        if self.value is None or self.value <= 0:
            return None
        return round(self.pairs * wanted * (1 - self.value) / (self.value * (1 - wanted)))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return self._asdict()


def standard_error(values: Float[Tensor, "pair ..."], groups: Sequence[str] = ()) -> Float[Tensor, "..."]:
    """Standard error of the mean over pairs; NaN with a single pair, or with pairs of a single group.

    Pairs of one group are not independent: their deviations from the mean are added up before they are squared.

    Args:
        values: numbers of each pair.
        groups: what each pair belongs to; empty where every pair stands for itself.
    """
    names = {name: i for i, name in enumerate(dict.fromkeys(groups or map(str, range(len(values)))))}
    index = [names[name] for name in groups] or list(range(len(values)))
    apart = (values - values.mean(dim=0)).double()
    pulls = apart.new_zeros(len(names), *values.shape[1:]).index_add_(0, apart.new_tensor(index).long(), apart)
    spread = pulls.square().sum(dim=0) * len(names) / (len(names) - 1 or math.nan)
    found: Tensor = (spread.sqrt() / len(values)).to(values.dtype)
    return found


def split_half(
    effects: Float[np.ndarray, "pair node"], groups: Sequence[str], *, halvings: int = HALVINGS, seed: int = 0
) -> Reliability:
    """How far a ranking of nodes agrees with itself, from random halves of the pairs.

    Whole groups are dealt to the halves. A correlation r of two halves is that of maps from half as many pairs; the
    whole has 2 r / (1 + r) (Spearman 1910; Brown 1910), for negative r 2 r / (1 + abs(r)). One halving depends on its
    luck, so many are averaged (Parsons, Kruijt & Fox 2019, doi 10.1177/2515245919879695).

    Args:
        effects: scores by pair.
        groups: what each pair belongs to.
        halvings: how many.
        seed: of the dealing.

    Returns:
        The reliability; undefined with fewer than four groups, or where a half ranks all nodes alike.

    Example:
        Twelve heads whose effects stand apart by their own noise, on 40 pairs:

        >>> import numpy
        >>> from pinpoint.reliability import split_half
        >>> effects = numpy.arange(12) + numpy.random.default_rng(0).normal(size=(40, 12))
        >>> found = split_half(effects, groups=[str(pair) for pair in range(40)])
        >>> round(found.value, 2)
        1.0
    """
    from scipy.stats import rankdata

    undefined = Reliability(None, None, None, 0, len(effects))
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < _FEWEST_GROUPS or effects.shape[1] < 2:
        return undefined
    members = np.zeros((len(names), len(effects)))
    members[index, np.arange(len(effects))] = 1
    places = np.random.default_rng(seed).random((halvings, len(names))).argsort(axis=1)
    first = (places < len(names) // 2).astype(float)  # [halving group]
    ranks = []
    for half in (first, 1 - first):
        weights = half @ members  # [halving pair]
        ranked = rankdata(weights @ effects / weights.sum(axis=1, keepdims=True), axis=1)
        ranks.append(ranked - ranked.mean(axis=1, keepdims=True))
    size = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    if not size.all():
        return undefined
    r = (ranks[0] * ranks[1]).sum(axis=1) / size
    whole = 2 * r / (1 + np.abs(r))
    low, high = np.percentile(whole, _INTERVAL)
    return Reliability(float(whole.mean()), float(low), float(high), halvings, len(effects))


class Routing(NamedTuple):
    """Whether experts were chosen for patched rows as the model chooses them for whole prompts.

    Attributes:
        choices: how often a router chose for the unpatched reference among the patched rows.
        others: how often otherwise than in the model's own pass.
        ties: choices of the model's own pass that a step of its dtype could turn.
    """

    choices: int
    others: int
    ties: int

    def __str__(self) -> str:
        return (
            f"for the reference, {self.others} of {self.choices} choices of experts came out otherwise among the "
            f"patched rows than in the model's own pass, which met {self.ties} near ties"
        )


@dataclass(frozen=True, eq=False)
class Rounding:
    """What rounding does to mean scores, measured against the same computation in a wider dtype.

    Attributes:
        errors: by how much each mean score of `pairs` pairs is off.
        pairs: pairs that were scored in both dtypes.
        dtype: the model's.
        against: the wider one.

    Example:
        With `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> from pinpoint.organism import shipped
        >>> narrow, _ = pinpoint.load(shipped()["yesman"], dtype="bfloat16", device="cpu")
        >>> rounding = pinpoint.locate(narrow, tokenizer, pairs, noise_pairs=2).rounding
        >>> rounding.dtype, rounding.against, 0 < rounding.floor < 1
        ('bfloat16', 'float32', True)
    """

    errors: Float[Tensor, "..."]
    pairs: int
    dtype: str
    against: str

    @property
    def floor(self) -> float:
        """The noise floor: rounding moved no mean score by more. More pairs average some of it out, not all."""
        return float(self.errors.max())

    def of(self, errors: Tensor) -> "Rounding":
        """The same of other nodes."""
        return replace(self, errors=errors)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without the errors of each node."""
        return {"floor": self.floor, "pairs": self.pairs, "dtype": self.dtype, "against": self.against}
