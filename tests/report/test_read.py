"""What `verify`, `compare` and `sweep` left, as objects for a notebook."""

import json
from pathlib import Path
from typing import Any

import pytest

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.config import RunConfig
from pinpoint.errors import ArtifactError, ConfigError
from pinpoint.report import Comparison, Knockout, Summary, Sweep
from pinpoint.report._rows import BUILT_IN
from tests.report.fabricated import summary, verify
from tests.report.test_comparison import comparison
from tests.report.test_sweep import FOUND

FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "read_knockout": ("verify/verify.json", verify()),
    "read_comparison": ("compare/compare.json", comparison()),
    "read_sweep": ("sweep/sweep.json", FOUND),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_read_from_a_run_folder_and_told_where_it_is_missing(name: str, tmp_path: Path) -> None:
    read, (file, content) = getattr(pinpoint, name), FILES[name]
    with pytest.raises(ConfigError, match="holds no run"):
        read(tmp_path)
    (tmp_path / "config.yaml").write_text(RunConfig(model="acme/tiny-chat").to_yaml())
    with pytest.raises(ArtifactError, match=r"(has not been verified|holds no (comparison|sweep))\. .* `pinpoint "):
        read(tmp_path)
    folder, _, last = file.partition("/")
    Workspace(tmp_path / folder).write_json(last, content)
    assert read(str(tmp_path)).numbers == json.loads(json.dumps(content))


def test_every_point_of_the_knockout_curve_is_a_row_and_a_point() -> None:
    found = verify()
    knockout = Knockout(found, BUILT_IN)
    table, curve = knockout.to_pandas(), found["curve"]
    located = table[table.which == "located"]
    assert located.log_odds.tolist() == [one["value"] for one in curve["ranked"]]
    assert located.low.tolist() == [one["low"] for one in curve["ranked"]] and located.n.tolist() == [50] * 13
    drawn = table[(table.which == "matched") & (table.draw == 3)]
    assert drawn.log_odds.tolist() == curve["matched"][3] and drawn.heads.tolist() == list(range(13))
    assert drawn.low.isna().all() and len(table) == 11 * 13
    figure = knockout.plot()
    assert list(figure.data[-1].y) == located.log_odds.tolist()
    assert figure.data[-1].line.color == "#d55e00", "the page's colour for located heads, in light"
    assert figure.layout.annotations[0].text.strip() == "auto: 6"
    assert "same layers" in knockout._repr_html_() and repr(knockout) == "<Knockout: 0 to 12 heads, mean>"


def test_every_estimate_of_every_compared_method_is_a_row() -> None:
    found = comparison()
    compared = Comparison(found, BUILT_IN)
    table = compared.to_pandas().set_index(["measure", "method"])
    assert not table.index.duplicated().any()
    for name, record in found["methods"].items():
        assert table.loc["truthfulness", name]["value"] == record["metrics"]["truthfulness"]["value"]
    difference = found["methods"]["caa"]["versus_base"]["truthfulness"]["value"]
    assert table.loc["truthfulness", "caa"]["difference"] == difference
    assert table.loc["copying", "base"].isna()["difference"]
    points = {label: x for trace in compared.plot().data for label, x in zip(trace.text, trace.x, strict=True)}
    assert points["pinpoint (located heads)"] == found["methods"]["pinpoint"]["metrics"]["kl"]["value"]
    assert "activation addition (CAA)" in compared._repr_html_() and "p&lt;" not in repr(compared)
    assert repr(compared) == "<Comparison: acme/tiny-chat; base, pinpoint, random_1, caa>"


def test_every_point_of_a_sweep_is_a_row_and_each_thing_that_was_varied_a_figure() -> None:
    sweep = Sweep(FOUND, BUILT_IN)
    table = sweep.to_pandas()
    rows = table[(table.over == "data") & (table.measure == "truthfulness")]
    assert rows["at"].tolist() == [72, 290] and rows["value"].tolist() == [0.8, 0.95]
    assert table[table.over == "pairs"].measure.tolist() == ["overlap", "correlation"] * 2
    assert sweep.plot().layout.title.text == "How many heads"
    assert list(sweep.plot("pairs").data[0].y) == [0.7, 0.92]
    assert sweep._repr_html_().count("<table") == 3 and repr(sweep) == "<Sweep: over heads, data, pairs>"
    alone = Sweep({"model": "x", "pairs": FOUND["pairs"]}, BUILT_IN)
    assert alone.over == ["pairs"] and alone.plot().layout.title.text == "How many pairs to rank by"


def test_the_summary_s_figure_has_every_measure_of_every_method_with_its_interval() -> None:
    numbers = summary() | {"model": "<b>acme"}
    base, tuned, full = Summary(numbers, BUILT_IN).plot().data
    assert [base.name, tuned.name, full.name] == ["Base", "Pinpoint", "Full fine-tuning"]
    place = list(tuned.x).index("Ability: copying")
    assert tuned.y[place] == 0.98 and tuned.error_y.array[place] == pytest.approx(0.02)
    undefined = json.loads(json.dumps(numbers))
    undefined["methods"]["full"]["confidence"] |= {"value": None, "low": None, "high": None}
    assert len(Summary(undefined, BUILT_IN).plot().data[2].x) == len(full.x) - 1
    assert "<b>" not in Summary(numbers, BUILT_IN).plot().layout.title.text


def test_a_label_that_looks_like_a_colour_of_the_page_s_stays_as_it_is() -> None:
    numbers = summary()
    numbers["methods"]["pinpoint"]["abilities"]["var(--none)"] = numbers["methods"]["pinpoint"]["abilities"]["copying"]
    assert "Ability: var(--none)" in Summary(numbers, BUILT_IN).plot().data[1].x
