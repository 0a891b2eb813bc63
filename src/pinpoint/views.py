"""What results look like in a notebook: sentences and a table, and figures of points."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


def html_of(title: str, table: "DataFrame | None" = None, *notes: str, index: bool = False) -> str:
    """A title, a table under it and notes below, as HTML; all of it escaped.

    Args:
        title: a line of text.
        table: what the result has in rows; numbers are shown with four digits behind the point.
        notes: lines of text.
        index: whether the table's index is shown.
    """
    shown = "" if table is None else table.to_html(index=index, float_format="{:+.4f}".format)
    above, *below = (f"<p>{html.escape(text)}</p>" for text in (title, *notes))
    return "".join((above, shown, *below))


class Points(NamedTuple):
    """One series of a figure.

    Attributes:
        x: places.
        y: values there.
        text: what each point is called; empty for nothing.
        error: the standard error of each value; empty where there is none.
        joined: whether a line runs through them.
    """

    x: Sequence[float | str]
    y: Sequence[float]
    text: Sequence[str] = ()
    error: Sequence[float] = ()
    joined: bool = False


def figure_of(series: Mapping[str, Points], *, title: str, x: str, y: str) -> "Figure":
    """A plotly figure of named series.

    Args:
        series: points by name; the names are shown where there are several.
        title: the figure's.
        x: the title of the axis across.
        y: the title of the axis upwards.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, points in series.items():
        figure.add_scatter(
            name=html.escape(name),
            x=list(points.x),
            y=list(points.y),
            text=list(map(html.escape, points.text)) or None,
            error_y={"type": "data", "array": list(points.error)} if points.error else None,
            mode="lines+markers" if points.joined else "markers",
        )
    titles = {"title": html.escape(title), "xaxis_title": html.escape(x), "yaxis_title": html.escape(y)}
    figure.update_layout(showlegend=len(series) > 1, **titles)
    return figure
