"""The knockout curve of a run in Python: a table, and a view for notebooks."""

from pathlib import Path
from typing import TYPE_CHECKING

from pinpoint.report._figure_rows import curve_rows
from pinpoint.report._figures import knockout_curve
from pinpoint.report._stored import Stored, figure_of_page, table_of
from pinpoint.views import html_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

_HEADER = ["heads", "located", "95 % interval", "random: mean [lowest, highest]", "same layers: mean [lowest, highest]"]


class Knockout(Stored):
    """What knocking out the located heads does, beside random and layer-matched ones, as `verify/verify.json` has it.

    Attributes:
        numbers: the content of the file.
        behaviour: the one that is to go away.

    Example:
        After `pinpoint demo`:

        >>> knockout = pinpoint.read_knockout("runs/demo")
        >>> knockout.to_pandas().which.unique().tolist()
        ['located', 'random', 'matched']
        >>> knockout.plot().data[-1].name
        'located heads'
    """

    def __repr__(self) -> str:
        return f"<Knockout: 0 to {self._most} heads, {self.numbers['mode']}>"

    def to_pandas(self) -> "DataFrame":
        """One row a number of heads and set of them: heads, which, draw, log-odds, ends of the 95 % interval, n.

        `which` is located, random or matched (from the same layers); draws of the last two have no interval.
        """
        import pandas

        curve = self.numbers["curve"]
        rows: list[tuple[object, ...]] = [
            ("located", 0, k, one["value"], one["low"], one["high"], one["n"]) for k, one in enumerate(curve["ranked"])
        ]
        for which in ("random", "matched"):
            for draw, values in enumerate(curve[which]):
                rows += [(which, draw, k, value, None, None, None) for k, value in enumerate(values)]
        return pandas.DataFrame(rows, columns=["which", "draw", "heads", "log_odds", "low", "high", "n"])

    def plot(self) -> "Figure":
        """The curve with its controls, as on the page; a line where `heads: auto` would end."""
        chosen = self.numbers["auto"] or 0
        curve = knockout_curve(self.numbers["curve"], chosen, self.behaviour.shows, f"auto: {chosen}")
        return figure_of_page(curve, self._title)

    def _repr_html_(self) -> str:
        """The numbers behind the curve, for a notebook."""
        return html_of(self._title, table_of([_HEADER, *curve_rows(self.numbers["curve"])]))

    @property
    def _most(self) -> int:
        return len(self.numbers["curve"]["ranked"]) - 1

    @property
    def _title(self) -> str:
        return f"Log-odds of {self.behaviour.shows} (nats) with up to {self._most} heads knocked out"


def read_knockout(run: str | Path) -> Knockout:
    """The knockout curve of a run that has been verified.

    Args:
        run: the run folder.

    Raises:
        ConfigError: the folder holds no run.
        ArtifactError: the run has not been verified, or the curve was changed.

    Example:
        After `pinpoint demo`:

        >>> table = pinpoint.read_knockout("runs/demo").to_pandas()
        >>> list(table.columns)
        ['which', 'draw', 'heads', 'log_odds', 'low', 'high', 'n']
    """
    mend = "Go on with `pinpoint run`, or `pinpoint verify RUN`."
    return Knockout.of(run, "verify/verify.json", "has not been verified", mend)
