"""How far an approximation ranks heads as the exact scores do."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from scipy.stats import spearmanr

from pinpoint.errors import InputError
from pinpoint.heads import Head, HeadScores
from pinpoint.views import Points, figure_of, html_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


class ScoredTwice(NamedTuple):
    """One head's mean scores.

    Example:
        With `scores` from the example of `locate`, held to themselves:

        >>> first = pinpoint.agreement(scores, scores).scores[0]
        >>> str(first.head), first.approximate == first.exact
        ('L0.H3', True)
    """

    head: Head
    approximate: float
    exact: float


class Agreement(NamedTuple):
    """An approximation held to exact scores on the same pairs.

    Attributes:
        correlation: Spearman's rank correlation of the mean scores over all heads; None where one side is constant.
        error: mean absolute difference of the mean scores, relative to the mean absolute exact one: a good ranking may
            come with sizes that are far off. None where all exact scores are 0.
        shared: heads among the first `top` of both rankings.
        top: how many heads were compared so.
        pairs: pairs that both were computed on.
        exact: what the approximation was held to.
        scores: the mean scores of all heads, in the order of the exact ranking.

    Example:
        With `scores` from the example of `locate`, held to themselves:

        >>> pinpoint.agreement(scores, scores, top=4).to_pandas()[["correlation", "error", "shared"]]
           correlation  error  shared
        0          1.0    0.0       4
        >>> found = pinpoint.agreement(scores, scores)
        >>> found.plot().data[0].text[0]
        'L0.H3'
    """

    correlation: float | None
    error: float | None
    shared: int
    top: int
    pairs: int
    exact: str
    scores: tuple[ScoredTwice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, without the scores of the heads."""
        return {name: value for name, value in self._asdict().items() if name != "scores"}

    def to_pandas(self) -> "DataFrame":
        """One row, a column for each attribute but the scores."""
        import pandas

        return pandas.DataFrame([self.to_json()])

    def plot(self) -> "Figure":
        """The approximate against the exact mean score of every head, as a plotly figure."""
        heads = Points(
            [one.exact for one in self.scores],
            [one.approximate for one in self.scores],
            [str(one.head) for one in self.scores],
        )
        return figure_of({"heads": heads}, title=self._words, x=f"exact: {self.exact}", y="approximate")

    def _repr_html_(self) -> str:
        """A sentence, for a notebook."""
        return html_of(self._words)

    @property
    def _words(self) -> str:
        undefined = "undefined"
        correlation = undefined if self.correlation is None else f"{self.correlation:.3f}"
        error = undefined if self.error is None else f"{self.error:.1%}"
        return (
            f"Held to {self.exact} on {self.pairs} pairs: rank correlation {correlation}, {self.shared} of the first "
            f"{self.top} heads shared, sizes off by {error}"
        )


def agreement(approximate: HeadScores, exact: HeadScores, top: int = 10) -> Agreement:
    """Compares two scorings of the same heads on the same pairs.

    Raises:
        InputError: they are not of the same pairs and heads, or `top` is below 1.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> estimate = pinpoint.locate(model, tokenizer, pairs, method="attribution")
        >>> exact = pinpoint.locate(model, tokenizer, pairs, method="activation")
        >>> found = pinpoint.agreement(estimate, exact, top=4)
        >>> round(found.correlation, 1), found.shared, round(found.error, 1)
        (1.0, 4, 0.8)
    """
    if approximate.effects.shape != exact.effects.shape:
        ours, theirs = tuple(approximate.effects.shape), tuple(exact.effects.shape)
        raise InputError(
            f"scores of shape {ours} cannot be compared with scores of shape {theirs}.",
            where="agreement",
            mend="Score the same heads of the same model on the same pairs with both methods.",
        )
    if top < 1:
        raise InputError(f"the first {top} heads cannot be compared.", where="agreement", mend="Give top=1 or more.")
    heads = exact.ranking()
    top = min(top, len(heads))
    sides = [[float(scores.mean[head]) for head in heads] for scores in (approximate, exact)]
    constant = any(len(set(side)) == 1 for side in sides)
    signs = [-1 if scores.method == "probe" else 1 for scores in (approximate, exact)]  # as they rank
    correlation = math.nan if constant else math.prod(signs) * float(spearmanr(*sides).statistic)
    shared = len(set(approximate.top(top)) & set(exact.top(top)))
    size = sum(map(abs, sides[1]))
    apart = sum(abs(ours - theirs) for ours, theirs in zip(*sides, strict=True))
    return Agreement(
        None if math.isnan(correlation) else correlation,
        apart / size if size else None,
        shared,
        top,
        len(exact.effects),
        exact.label,
        tuple(ScoredTwice(head, *means) for head, *means in zip(heads, *sides, strict=True)),
    )
