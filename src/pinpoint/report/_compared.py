"""The numbers of a comparison in Python: a table, and a view for notebooks."""

from pathlib import Path
from typing import TYPE_CHECKING

from pinpoint.report._comparison import comparison_figures
from pinpoint.report._comparison_tables import comparison_rows
from pinpoint.report._stored import Stored, estimate_rows, figure_of_page, table_of
from pinpoint.report._words import short_name
from pinpoint.views import html_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


class Comparison(Stored):
    """What `pinpoint compare` found, as `compare/compare.json` has it.

    Attributes:
        numbers: the content of the file.
        behaviour: whose measures they are.

    Example:
        After `pinpoint compare yesman --out runs/compared`:

        >>> comparison = pinpoint.read_comparison("runs/compared")
        >>> list(comparison.numbers["methods"])[:2]
        ['base', 'pinpoint']
        >>> comparison.plot().data[0].name
        'located heads'
    """

    def __repr__(self) -> str:
        return f"<Comparison: {short_name(self.numbers['model'])}; {', '.join(self.numbers['methods'])}>"

    def to_pandas(self) -> "DataFrame":
        """One row a measure and method, with the columns of `Summary.to_pandas`."""
        import pandas

        methods = self.numbers["methods"]
        measured = {name: record["metrics"] for name, record in methods.items()}
        # The base's difference to itself is kept with the others'.
        versus = {name: record["versus_base"] for name, record in methods.items() if name != "base"}
        return pandas.DataFrame(estimate_rows(measured, versus))

    def plot(self) -> "Figure":
        """Behaviour against KL to the base, a point a method, as on the page."""
        return figure_of_page(comparison_figures(self.numbers, self.behaviour)["shift"], self._title)

    def _repr_html_(self) -> str:
        """The table of methods as on the page, for a notebook."""
        return html_of(self._title, table_of(comparison_rows(self.numbers, self.behaviour)))

    @property
    def _title(self) -> str:
        return f"{short_name(self.numbers['model'])}: {len(self.numbers['methods'])} methods compared"


def read_comparison(run: str | Path) -> Comparison:
    """The numbers of a comparison.

    Args:
        run: the folder that `pinpoint compare` worked in.

    Raises:
        ConfigError: the folder holds no run.
        ArtifactError: nothing was compared there, or the numbers were changed.

    Example:
        After `pinpoint compare yesman --out runs/compared`:

        >>> table = pinpoint.read_comparison("runs/compared").to_pandas()
        >>> table[table.measure == "truthfulness"].method.head(2).tolist()
        ['base', 'pinpoint']
    """
    mend = "Give the folder that `pinpoint compare` worked in."
    return Comparison.of(run, "compare/compare.json", "holds no comparison", mend)
