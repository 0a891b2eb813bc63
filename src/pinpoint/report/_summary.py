"""The numbers of a run in Python: a table, and a view for notebooks."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

from pinpoint.report._figures import Figure, axis, error_bars, layout
from pinpoint.report._rows import METHODS, ability_label, label_of, method_rows
from pinpoint.report._stored import Stored, estimate_rows, figure_of_page
from pinpoint.report._tradeoff import STYLES
from pinpoint.report._words import short_name
from pinpoint.views import html_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure as Drawn


class Summary(Stored):
    """What a run found, as `summary.json` has it.

    Attributes:
        numbers: the content of the file.
        behaviour: whose measures they are.

    Example:
        After `pinpoint demo`:

        >>> summary = pinpoint.read_summary("runs/demo")
        >>> [key for key in summary.numbers if key in ("heads", "methods")]
        ['heads', 'methods']
        >>> summary.behaviour.name
        'sycophancy'
        >>> [trace.name for trace in summary.plot().data][:2]
        ['Base', 'Pinpoint']
    """

    def __repr__(self) -> str:
        methods = ", ".join(self.numbers["methods"])
        return f"<Summary: {short_name(self.numbers['model'])}, {len(self.numbers['heads'])} heads tuned; {methods}>"

    def to_pandas(self) -> "DataFrame":
        """One row a measure and method: value, ends of the 95 % interval, items, and the difference to the base.

        Rates and differences of rates are shares of 1, divergences nats; what is undefined is missing. Measures have
        their names in `summary.json`; those of further sets stand behind the set's: `pressure.flipped`.
        """
        import pandas

        methods = self.numbers["methods"]
        versus = {method: found.get("versus_base", {}) for method, found in methods.items()}
        return pandas.DataFrame(estimate_rows(methods, versus))

    def plot(self) -> "Drawn":
        """The behaviour's measures and the general abilities with their 95 % intervals, one colour a method."""
        up = axis("", tickformat=".0%")
        figure = {"data": self._traces(), "layout": layout(460, axis(""), up, scattermode="group")}
        return figure_of_page(figure, self._title)

    def _traces(self) -> list[Figure]:
        labels = {one.name: html.escape(one.label) for one in self.behaviour.measures}
        traces = []
        for method, found in self.numbers["methods"].items():
            measured = {label: found.get(name) for name, label in labels.items()}
            measured |= {html.escape(ability_label(name)): one for name, one in found.get("abilities", {}).items()}
            known = {label: one for label, one in measured.items() if one and one["value"] is not None}
            variable, symbol = STYLES.get(method, ("matched", "diamond"))
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": html.escape(label_of(method)),
                    "x": list(known),
                    "y": [one["value"] for one in known.values()],
                    "error_y": error_bars(list(known.values()), variable),
                    "marker": {"symbol": symbol, "size": 9, "color": f"var(--{variable})"},
                }
            )
        return traces

    def _repr_html_(self) -> str:
        """The table of methods as on the page, for a notebook."""
        import pandas

        rows = method_rows(self.numbers, self.behaviour)
        cells = [{METHODS.get(name, name): text for name, text in row.cells.items()} for row in rows]
        warned = [f"Warning: {text}" for text in self.numbers.get("warnings", [])]
        return html_of(self._title, pandas.DataFrame(cells, index=[row.label for row in rows]), *warned, index=True)

    @property
    def _title(self) -> str:
        heads = self.numbers["heads"]
        return f"{short_name(self.numbers['model'])}: {len(heads)} heads tuned ({', '.join(heads)})"


def read_summary(run: str | Path) -> Summary:
    """The numbers of a run that has been evaluated.

    Args:
        run: the run folder.

    Raises:
        ConfigError: the folder holds no run.
        ArtifactError: the run has not been evaluated, or its numbers were changed.

    Example:
        After `pinpoint demo`:

        >>> table = pinpoint.read_summary("runs/demo").to_pandas()
        >>> table[table.measure == "confidence"].method.head(2).tolist()
        ['base', 'pinpoint']
        >>> list(table.columns[:6])
        ['measure', 'method', 'value', 'low', 'high', 'n']
    """
    mend = "Finish it with `pinpoint run`, or `pinpoint evaluate RUN`."
    return Summary.of(run, "summary.json", "has not been evaluated", mend)
