"""What results look like in a notebook: whatever comes from outside is escaped."""

import pandas

from pinpoint.views import Points, figure_of, html_of


def test_a_table_stands_between_its_title_and_its_notes_and_all_are_escaped() -> None:
    shown = html_of("<b>title", pandas.DataFrame({"<i>": ["<u>x"], "y": [-1.23456]}), "<s>note")
    assert shown.index("&lt;b&gt;title") < shown.index("&lt;u&gt;x") < shown.index("&lt;s&gt;note")
    assert "-1.2346" in shown and not any(tag in shown for tag in ("<b>", "<i>", "<u>", "<s>"))
    assert "<th>7</th>" in html_of("", pandas.DataFrame({"y": [1]}, index=[7]), index=True)
    assert html_of("alone") == "<p>alone</p>"


def test_a_figure_has_a_series_a_name_and_a_legend_where_there_are_several() -> None:
    alone = figure_of({"one": Points([1, 2], [3.0, 4.0], ["a<", "b"], [0.1, 0.2])}, title="t<", x="x<", y="y<")
    (drawn,) = alone.data
    assert (drawn.x, drawn.y, drawn.text, drawn.mode) == ((1, 2), (3.0, 4.0), ("a&lt;", "b"), "markers")
    assert drawn.error_y.array == (0.1, 0.2) and not alone.layout.showlegend
    assert (alone.layout.title.text, alone.layout.xaxis.title.text, alone.layout.yaxis.title.text) == (
        "t&lt;",
        "x&lt;",
        "y&lt;",
    )
    both = figure_of({"one": Points([1], [2.0], joined=True), "<two>": Points([1], [2.0])}, title="", x="", y="")
    assert [(trace.name, trace.mode) for trace in both.data] == [("one", "lines+markers"), ("&lt;two&gt;", "markers")]
    assert both.layout.showlegend and both.data[0].error_y.array is None
