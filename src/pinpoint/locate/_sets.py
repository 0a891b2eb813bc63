"""Sets of heads and their exact joint effect: heads that stand in for one another hide from scores one at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair
from pinpoint.errors import ConfigError
from pinpoint.heads import Head, HeadScores, HeadSet
from pinpoint.locate._ask import Ask
from pinpoint.locate._dealt import ROWS, SETTING
from pinpoint.locate._locate import score, score_heads
from pinpoint.locate._set_results import FoundSet, Joint, SetStep, SetSteps
from pinpoint.memory import BatchSize
from pinpoint.progress import Progress
from pinpoint.reliability import standard_error


@dataclass(frozen=True)
class _Given:
    """Scores beyond sets of heads, on some pairs. What fits one pass fits the next."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    pairs: Sequence[ContrastPair]
    ask: Ask
    progress: Progress | None = None

    def scores(self, heads: Sequence[Head]) -> HeadScores:
        """Effects of all heads beyond those of a set, in one sweep."""
        ask = replace(self.ask, given=HeadSet(heads))
        return score_heads(self.model, self.tokenizer, self.pairs, ask, self.progress)

    def metric(self, heads: Sequence[Head]) -> Tensor:
        """The metric with a set patched, [pair]: both prompts of each, and no rows but the reference's."""
        ask = replace(self.ask, given=HeadSet(heads), kinds=())
        return score(self.model, self.tokenizer, self.pairs, ask).reference

    def mean(self, heads: Sequence[Head]) -> float:
        return float(self.metric(heads).mean())

    def lowest_without(self, heads: Sequence[Head], candidates: Sequence[Head]) -> tuple[Head | None, float]:
        """The candidate without which the set lowers the metric most, and the metric without it."""
        without = {head: self.mean([other for other in heads if other != head]) for head in candidates}
        head = min(without, key=lambda one: without[one], default=None)
        return head, math.inf if head is None else without[head]


def _given(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    metric: str,
    engine: str,
    batch_size: int,
    rows_per_chunk: int,
    progress: Progress | None,
) -> _Given:
    at_once, rows = BatchSize(batch_size, SETTING), BatchSize(rows_per_chunk, ROWS)
    ask = Ask(metric=metric, engine=engine, batch_size=at_once, rows_per_chunk=rows)
    return _Given(model, tokenizer, pairs, ask, progress)


def _check_count(count: int) -> None:
    if count < 1:
        raise ConfigError(f"count must be 1 or more; got {count}.", where="count", mend="Ask for one head at least.")


def _grown(given: _Given, alone: HeadScores, count: int) -> SetSteps:
    """Adds the head that lowers the metric most, then drops one without which the set lowers it more."""
    start, chosen, found = float(alone.reference.mean()), list[Head](), alone
    steps = SetSteps()
    while len(chosen) < count:
        best = next((head for head in found.ranking() if head not in chosen), None)
        if best is None or not found.mean[best] < 0:
            break
        chosen = [*chosen, best]
        found = given.scores(chosen)
        value = float(found.reference.mean())
        steps.append(SetStep(True, best, tuple(chosen), value - start))
        head, lower = given.lowest_without(chosen, chosen[:-1])
        if head is not None and lower < value:
            chosen = [other for other in chosen if other != head]
            found = given.scores(chosen)
            steps.append(SetStep(False, head, tuple(chosen), float(found.reference.mean()) - start))
    return steps


def _cut_down(given: _Given, alone: HeadScores, count: int) -> tuple[list[Head], float, SetSteps]:
    """From twice as many heads as asked for, the strongest alone, drops the one that is missed least."""
    start, chosen = float(alone.reference.mean()), list(alone.ranking()[: 2 * count])
    value, steps = given.mean(chosen), SetSteps()
    while chosen:
        head, lower = given.lowest_without(chosen, chosen)
        if head is None or len(chosen) <= count and not lower < value:
            break
        chosen = [other for other in chosen if other != head]
        value = lower
        steps.append(SetStep(False, head, tuple(chosen), value - start))
    return chosen, value - start, steps


def greedy_set(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    count: int,
    *,
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    rows_per_chunk: int = 4096,
    progress: Progress | None = None,
) -> SetSteps:
    """Grows a set of heads whose joint patching lowers the metric most, one sweep a step.

    Each step adds the head that lowers the metric most given the set so far, or drops one without which
    the set lowers it more; drops are tried by the metric of the reference alone, which takes no rows of heads. Joint
    effects are exact: all heads of the set take their counterfactual outputs at once, every other attention output
    stays frozen. Stops at `count` heads, or where no head lowers the metric.

    Args:
        model: as for `pinpoint.locate`.
        tokenizer: as for `pinpoint.locate`.
        pairs: the contrast pairs.
        count: heads at the most.
        metric: as for `pinpoint.locate`.
        engine: as for `pinpoint.locate`.
        batch_size: as for `pinpoint.locate`.
        rows_per_chunk: as for `pinpoint.locate`.
        progress: told of each sweep.

    Returns:
        The steps, in order.

    Raises:
        InputError: as `pinpoint.locate` does.
        ConfigError: `count` is below 1.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> steps = pinpoint.greedy_set(model, tokenizer, pairs, count=2)
        >>> [(str(step.head), round(step.joint, 1)) for step in steps]
        [('L0.H3', -7.2), ('L0.H2', -11.1)]
    """
    _check_count(count)
    given = _given(model, tokenizer, pairs, metric, engine, batch_size, rows_per_chunk, progress)
    return _grown(given, given.scores([]), count)


def find_set(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    count: int,
    *,
    others: Sequence[ContrastPair] = (),
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    rows_per_chunk: int = 4096,
    progress: Progress | None = None,
) -> FoundSet:
    """Searches for the set with the strongest joint effect twice, and keeps the stronger of both.

    Growing it, `greedy_set`, never meets two heads of which each makes up for the other: either alone does next to
    nothing. So a set is also cut down: from twice `count` heads, those strongest alone, the head that is missed
    least is dropped, again and again. That takes passes over both prompts of every pair, without rows of heads, whose
    number grows with the square of `count`. Neither search is exhaustive.

    Args:
        model: as for `pinpoint.locate`.
        tokenizer: as for `pinpoint.locate`.
        pairs: the contrast pairs that choose the set.
        count: heads at the most.
        others: pairs that its effect is measured on.
        metric: as for `pinpoint.locate`.
        engine: as for `pinpoint.locate`.
        batch_size: as for `pinpoint.locate`.
        rows_per_chunk: as for `pinpoint.locate`.
        progress: told of each sweep.

    Raises:
        InputError: as `pinpoint.locate` does.
        ConfigError: `count` is below 1.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> found = pinpoint.find_set(model, tokenizer, pairs[:2], count=2, others=pairs[2:])
        >>> print(*found.heads)
        L0.H3 L0.H2
        >>> round(found.joint.effect, 1)
        -11.2
    """
    _check_count(count)
    given = _given(model, tokenizer, pairs, metric, engine, batch_size, rows_per_chunk, progress)
    alone = given.scores([])
    forward = _grown(given, alone, count)
    heads, effect, backward = _cut_down(given, alone, count)
    search: Literal["forward", "backward"] = "backward"
    if forward and forward[-1].joint <= effect:
        heads, effect, search = list(forward[-1].heads), forward[-1].joint, "forward"
    joint = _joint(replace(given, pairs=others), heads) if others else None
    return FoundSet(tuple(heads), search, effect, joint, forward, backward)


def _joint(given: _Given, heads: Sequence[Head]) -> Joint:
    alone = given.scores([])
    effects = given.metric(heads) - alone.reference
    error = float(standard_error(effects, alone.groups))
    alone_sum = sum(float(alone.mean[head]) for head in HeadSet(heads))
    return Joint(float(effects.mean()), None if math.isnan(error) else error, alone_sum, len(effects))


def joint_effect(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    heads: Sequence[Head],
    *,
    metric: str = "logit_diff",
    engine: str = "sweep",
    batch_size: int = 32,
    rows_per_chunk: int = 4096,
    progress: Progress | None = None,
) -> Joint:
    """The exact joint effect of a set of heads, beside the sum of what they do alone; other arguments as `greedy_set`.

    Args:
        model: as for `pinpoint.locate`.
        tokenizer: as for `pinpoint.locate`.
        pairs: the contrast pairs.
        heads: the set.
        metric: as for `pinpoint.locate`.
        engine: as for `pinpoint.locate`.
        batch_size: as for `pinpoint.locate`.
        rows_per_chunk: as for `pinpoint.locate`.
        progress: told of the sweep.

    Raises:
        InputError: the model has no such head, and as `pinpoint.locate` does.

    Example:
        With `model` and `tokenizer` from the example of `load`, and `pairs` from that of `ContrastPair`:

        >>> found = pinpoint.joint_effect(model, tokenizer, pairs, [pinpoint.Head(0, 3), pinpoint.Head(0, 2)])
        >>> round(found.effect, 1), round(found.alone, 1)
        (-11.1, -10.3)
    """
    given = _given(model, tokenizer, pairs, metric, engine, batch_size, rows_per_chunk, progress)
    return _joint(given, heads)
