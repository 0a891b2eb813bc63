"""The sweep's tables in a narrow terminal, and its page, from a fabricated record."""

from pathlib import Path
from typing import Any

import pytest

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import behaviour_of
from pinpoint.cli._tables import print_sweep
from pinpoint.config import RunConfig
from pinpoint.report import sweep_tables, write_sweep
from pinpoint.report._sweep import pareto_front
from tests.report.fabricated import est
from tests.report.test_page import _Page

CONFIG = RunConfig(model="acme/tiny-chat")


def point(heads: int, questions: int, rate: float) -> dict[str, Any]:
    rates = {"truthfulness": rate, "confidence": rate / 2, "kl": heads / 1000}
    made = {"metrics": rates, "reached": rate > 0.9, "steps": 120, "seconds": 1234.5}
    made["estimates"] = {name: est(value, value / 10, 96) for name, value in rates.items()}
    return made | {"heads": heads, "questions": questions, "trainable_parameters": 1_234_567 * heads}


FOUND = {
    "model": CONFIG.model,
    "targets": {"truthfulness": 0.9, "confidence": 0.9},
    "chosen": 16,
    "heads": [point(1, 290, 0.5), point(16, 290, 0.95)],
    "data": [point(16, 72, 0.8), point(16, 290, 0.95)],
    "pairs": {
        "heads": 16,
        "stable": 0.9,
        "enough": 8,
        "other_pairs": 8,
        "rows": [
            {"pairs": pairs, "overlap": est(overlap, 0.1, pairs), "correlation": est(overlap - 0.2, 0.1, pairs)}
            for pairs, overlap in ((4, 0.7), (8, 0.92))
        ],
    },
}


def test_in_80_columns_no_header_and_no_number_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = Path("a" * 60, "sweep.html")
    print_sweep(FOUND, behaviour_of(CONFIG.behaviour), path)
    lines = capsys.readouterr().out.splitlines()
    for word in ("truthfulness", "confidence", "KL", "n = 96", "reached", "steps"):
        assert sum(word in line for line in lines) == 2, word
    assert any("16 *" in line and "95.0" in line and "0.0160" in line for line in lines)
    assert "…" not in "".join(lines) and max(map(len, lines[:-1])) <= 80
    assert lines[-1] == f"Page: {path}"


def test_the_page_says_which_point_is_which_number_of_heads(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.write_json("sweep.json", FOUND)
    page = _Page(write_sweep(space, CONFIG).read_text(encoding="utf-8"))
    *rates, front, numbers = page.figures["heads"]["data"]
    assert [trace["name"] for trace in rates] == ["truthfulness", "confidence"]
    assert (numbers["text"], numbers["x"], numbers["y"]) == (["1", "16"], rates[0]["x"], rates[0]["y"])
    assert (front["x"], front["y"]) == ([0.001, 0.016], [0.25, 0.475])
    assert rates[0]["error_y"]["array"] == pytest.approx([0.05, 0.095])
    assert page.figures["data"]["layout"]["xaxis"]["ticktext"] == ["72", "290"]
    assert "1,234,567" in page.text and "16 do best" in page.words
    overlap, correlation = page.figures["pairs"]["data"]
    assert (overlap["x"], overlap["y"], correlation["y"]) == ([4, 8], [0.7, 0.92], pytest.approx([0.5, 0.72]))
    assert "training stops at the first check with 90 % truthfulness" in page.words


def test_the_page_says_where_training_stops_for_no_target(tmp_path: Path) -> None:
    space = Workspace(tmp_path)
    space.write_json("sweep.json", FOUND)
    whole = CONFIG.model_copy(update={"tune": CONFIG.tune.model_copy(update={"stop_early": False})})
    words = _Page(write_sweep(space, whole).read_text(encoding="utf-8")).words
    assert "training makes all of its passes, and its targets are 90 % truthfulness" in words
    assert "stops at the first check" not in words


def test_the_front_holds_what_nothing_beats_at_both() -> None:
    points = [point(heads, 290, rate) for heads, rate in ((1, 0.5), (2, 0.4), (4, 0.9), (8, 0.9), (16, 0.95))]
    assert [one["heads"] for one in pareto_front(points)] == [1, 4, 16]


def test_every_rate_of_the_table_has_its_interval_and_n() -> None:
    header, first, _ = sweep_tables(FOUND)["heads"]
    assert header[1:4] == ["truthfulness, n = 96", "confidence, n = 96", "KL, n = 96"]
    assert first[1:4] == ["50.0 [45.0, 55.0]", "25.0 [22.5, 27.5]", "0.0010 [0.0009, 0.0011]"]
