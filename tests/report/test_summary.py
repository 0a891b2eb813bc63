"""A run's numbers in Python."""

import json
from pathlib import Path

import pytest

import pinpoint
from pinpoint.errors import ArtifactError, ConfigError
from pinpoint.report import Summary
from pinpoint.report._rows import BUILT_IN


def test_every_estimate_of_every_method_is_a_row_beside_its_difference(finished_run: Path) -> None:
    summary = pinpoint.read_summary(finished_run)
    table = summary.to_pandas().set_index(["measure", "method"])
    numbers = json.loads((finished_run / "summary.json").read_text(encoding="utf-8"))
    assert summary.numbers == numbers
    tuned = numbers["methods"]["pinpoint"]
    row = table.loc["truthfulness", "pinpoint"]
    assert row["value"] == tuned["truthfulness"]["value"] and row["n"] == tuned["truthfulness"]["n"]
    paired = next(iter(tuned["versus_base"]["abilities"]))
    assert table.loc[paired, "pinpoint"]["difference"] == tuned["versus_base"]["abilities"][paired]["value"]
    assert table.loc["truthfulness", "base"].isna()["difference"] and not table.index.duplicated().any()
    assert repr(summary) == "<Summary: yesman, 2 heads tuned; base, pinpoint>"


def test_a_notebook_shows_the_table_and_escapes_what_comes_from_outside(finished_run: Path) -> None:
    numbers = json.loads((finished_run / "summary.json").read_text(encoding="utf-8"))
    hostile = numbers | {"model": "<script>alert(1)", "warnings": ["<b>bold"]}
    shown = Summary(hostile, BUILT_IN)._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "Warning: &lt;b&gt;bold" in shown
    assert "Truthfulness" in shown and "<th>Pinpoint</th>" in shown


def test_a_folder_without_numbers_is_told(finished_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        pinpoint.read_summary(tmp_path)
    (tmp_path / "config.yaml").write_text((finished_run / "config.yaml").read_text())
    with pytest.raises(ArtifactError, match="has not been evaluated. Finish it with `pinpoint run`"):
        pinpoint.read_summary(tmp_path)
