"""The numbers of a sweep in Python: a table, and a view for notebooks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinpoint.report._stored import Stored, figure_of_page, table_of
from pinpoint.report._sweep import SWEEP_TITLES, sweep_figures, sweep_tables
from pinpoint.views import html_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

_AT = {"heads": "heads", "data": "questions"}
_MEASURED = ("overlap", "correlation")


class Sweep(Stored):
    """What `pinpoint sweep` found, as `sweep/sweep.json` has it.

    Attributes:
        numbers: the content of the file.
        behaviour: whose rates it holds.

    Example:
        After `pinpoint sweep yesman --out runs/swept`:

        >>> sweep = pinpoint.read_sweep("runs/swept")
        >>> sweep.over
        ['heads', 'data', 'pairs']
        >>> [trace.name for trace in sweep.plot("data").data]
        ['truthfulness', 'confidence']
    """

    @property
    def over(self) -> list[str]:
        """What was varied: some of heads, data and pairs."""
        return [name for name in SWEEP_TITLES if name in self.numbers]

    def __repr__(self) -> str:
        return f"<Sweep: over {', '.join(self.over)}>"

    def to_pandas(self) -> "DataFrame":
        """One row a measure and point: over, at (heads, questions or pairs), measure, value, 95 % interval, n.

        Rates are shares of 1, KL nats; "overlap" is the share of the first heads that other pairs rank first too.
        """
        import pandas

        keys = ("value", "low", "high", "n")
        rows = [
            (over, at, name, *(one[key] for key in keys))
            for over in self.over
            for at, measured in self._points(over)
            for name, one in measured
        ]
        return pandas.DataFrame(rows, columns=["over", "at", "measure", *keys])

    def _points(self, over: str) -> list[tuple[int, list[tuple[str, dict[str, Any]]]]]:
        if over == "pairs":
            pairs = self.numbers["pairs"]["rows"]
            return [(row["pairs"], [(name, row[name]) for name in _MEASURED]) for row in pairs]
        return [(point[_AT[over]], list(point["estimates"].items())) for point in self.numbers[over]]

    def plot(self, over: str = "") -> "Figure":
        """What came of varying one thing, with 95 % intervals, as a plotly figure.

        Args:
            over: heads, data or pairs; the first of them that was varied by default.

        Raises:
            KeyError: that was not varied.
        """
        which = over or self.over[0]
        return figure_of_page(sweep_figures(self.numbers, self.behaviour)[which], SWEEP_TITLES[which])

    def _repr_html_(self) -> str:
        """The tables as on the page, for a notebook."""
        tables = sweep_tables(self.numbers, self.behaviour)
        return "".join(html_of(SWEEP_TITLES[name], table_of(rows)) for name, rows in tables.items())


def read_sweep(run: str | Path) -> Sweep:
    """The numbers of a sweep.

    Args:
        run: the folder that `pinpoint sweep` worked in.

    Raises:
        ConfigError: the folder holds no run.
        ArtifactError: nothing was varied there, or the numbers were changed.

    Example:
        After `pinpoint sweep yesman --out runs/swept`:

        >>> table = pinpoint.read_sweep("runs/swept").to_pandas()
        >>> table[table.over == "heads"].measure.unique().tolist()
        ['truthfulness', 'confidence', 'kl']
    """
    return Sweep.of(run, "sweep/sweep.json", "holds no sweep", "Give the folder that `pinpoint sweep` worked in.")
