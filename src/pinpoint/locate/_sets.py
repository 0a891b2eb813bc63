"""Sets of heads and their exact joint effect: heads that stand in for one another hide from scores one at a time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair
from pinpoint.heads import Head, HeadSet
from pinpoint.locate._dealt import ROWS, SETTING
from pinpoint.locate._locate import Ask, score_heads
from pinpoint.memory import BatchSize
from pinpoint.progress import Progress

if TYPE_CHECKING:
    from pandas import DataFrame


class SetStep(NamedTuple):
    """One step of the search.

    Attributes:
        added: whether `head` joined the set, or left it.
        head: the head.
        heads: the set after the step.
        joint: mean change of the metric with the whole set patched.
    """

    added: bool
    head: Head
    heads: tuple[Head, ...]
    joint: float


class SetSteps(list[SetStep]):
    """The steps of a search, in order, with a table of them."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """The set that the search ended with; empty where no head lowers the metric."""
        return self[-1].heads if self else ()

    def to_pandas(self) -> "DataFrame":
        """One row a step: step, whether the head was added, head, the set after it, and the set's joint effect."""
        import pandas

        rows = [
            {"step": i, "added": one.added, "head": str(one.head), "heads": ",".join(map(str, one.heads))}
            | {"joint": one.joint}
            for i, one in enumerate(self, 1)
        ]
        return pandas.DataFrame(rows, columns=["step", "added", "head", "heads", "joint"])

    def _repr_html_(self) -> str:
        """The steps, for a notebook."""
        table: str = self.to_pandas().to_html(index=False, float_format="{:+.4f}".format)
        return f"<p>A set of {len(self.heads)} heads, found in {len(self)} steps</p>{table}"


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

    Each step adds the head that lowers the metric most given the set so far, then drops a head without which
    the set lowers it more. Joint effects are exact: all heads of the set take their counterfactual outputs at
    once, every other attention output stays frozen. Stops at `count` heads, or where no head lowers the metric.

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
    """
    # What fits one sweep fits the next.
    pairs_at_once, rows_at_once = BatchSize(batch_size, SETTING), BatchSize(rows_per_chunk, ROWS)

    def scores(given: Sequence[Head]) -> tuple[float, Head | None, float]:
        ask = Ask(
            metric=metric,
            engine=engine,
            batch_size=pairs_at_once,
            rows_per_chunk=rows_at_once,
            given=HeadSet(given),
        )
        found = score_heads(model, tokenizer, pairs, ask, progress)
        best = next((head for head in found.ranking() if head not in given), None)
        return float(found.reference.mean()), best, float(found.mean[best]) if best else 0.0

    chosen: list[Head] = []
    steps = SetSteps()
    start, best, gain = scores(chosen)
    while best is not None and len(chosen) < count and gain < 0:
        chosen.append(best)
        value, best, gain = scores(chosen)
        steps.append(SetStep(True, chosen[-1], tuple(chosen), value - start))
        for head in chosen[:-1]:
            without = [other for other in chosen if other != head]
            lower, next_best, next_gain = scores(without)
            if lower < value:
                chosen, value, best, gain = without, lower, next_best, next_gain
                steps.append(SetStep(False, head, tuple(chosen), value - start))
                break
    return steps
