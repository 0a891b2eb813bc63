"""The table and the page of `pinpoint compare`, from made-up numbers."""

import json
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from pinpoint.artifacts import Workspace
from pinpoint.config import RunConfig
from pinpoint.report import comparison_rows, write_comparison
from tests.report.fabricated import est, summary

CONFIG = RunConfig(model="acme/tiny-chat")


def record(method: str, like: str, **more: Any) -> dict[str, Any]:
    told = summary()["methods"][like]
    versus = told.pop("versus_base", {"abilities": {"copying": est(0.0)}})
    trained, seconds = told.pop("trainable_parameters"), told.pop("seconds")
    return {
        "method": method,
        "setting": {},
        "searched": [],
        "trainable_parameters": trained,
        "seconds": seconds,
        "metrics": told,
        "versus_base": versus,
        **more,
    }


def comparison() -> dict[str, Any]:
    tried = [{"setting": 1e-3, "metrics": {"truthfulness": 0.94, "confidence": 0.95, "kl": 0.003}, "reached": True}]
    heads = ["L5.H3", "L6.H1"]
    shown = {when: {head: est(value, 0.1) for head in heads} for when, value in (("before", -1.2), ("after", -0.1))}
    methods = {
        "base": record("base", "base"),
        "pinpoint": record(
            "pinpoint",
            "pinpoint",
            setting={"learning_rate": 1e-3, "heads": heads},
            searched=tried,
            located_again={"effects": shown, "attention": shown},
        ),
        "random_1": record("random", "full", setting={"learning_rate": 1e-3, "heads": ["L0.H0"]}, searched=tried),
        "caa": record("caa", "full", setting={"layer": 3, "strength": 2.0}, searched=tried),
    }
    test = {name: {"gained": 3, "lost": 40, "p": 1e-5, "p_holm": 3e-5} for name in methods if name != "pinpoint"}
    test["caa"] = test["caa"] | {"p_holm": 0.031}
    tests = {"truthfulness": test, "correction_acceptance": test}
    return {
        "model": "acme/tiny-chat",
        "heads": heads,
        "methods": methods,
        "tests": {"base": tests, "pinpoint": tests},
        "provenance": {},
    }


def write(found: dict[str, Any], tmp_path: Path) -> str:
    space = Workspace(tmp_path)
    space.write_json("compare.json", found)
    return write_comparison(space, CONFIG).read_text(encoding="utf-8")


def test_every_rate_stands_with_its_interval_and_every_test_with_its_corrected_p() -> None:
    header, base, pinpoint, random_heads, caa = comparison_rows(comparison())
    cells = dict(zip(header, random_heads, strict=True))
    assert cells["method"] == "random heads 1"
    assert cells["truthfulness"] == "95.0 [93.0, 97.0]"
    assert cells["worst ability, points"] == "-3.0 [-4.0, -2.0] copying"
    assert (cells["p truth"], cells["trained parameters"]) == ("<.001", "3,212,288")
    assert caa[header.index("p truth")] == ".031"
    assert pinpoint[header.index("p truth")] == "–" and base[header.index("KL to base")] == "–"


def test_an_undefined_rate_is_a_dash_and_a_single_group_shows_its_n() -> None:
    found = comparison()
    found["methods"]["caa"]["metrics"]["truthfulness"] = est(None)
    found["methods"]["caa"]["metrics"]["confidence"] = {"value": 0.5, "low": None, "high": None, "n": 4}
    row = comparison_rows(found)[-1]
    assert row[1:3] == ["50.0 (n=4)", "–"]


def test_the_page_holds_the_table_the_search_and_the_heads_before_and_after(tmp_path: Path) -> None:
    page = write(comparison(), tmp_path)
    for text in ("random heads 1", "95.0 [93.0, 97.0]", "-1.200 [-1.300, -1.100]", "layer 3; strength 2", "0.001 (94%"):
        assert text in page, text
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert list(figures) == ["shift", "acceptance"]
    for figure in figures.values():
        go.Figure(figure)
    shown = [text for trace in figures["shift"]["data"] for text in trace["text"]]
    assert sorted(shown) == ["activation addition (CAA)", "pinpoint (located heads)", "random heads 1"]
    assert "script-src 'sha256-" in page
    table = (tmp_path / "compare.md").read_text(encoding="utf-8")
    assert table.startswith("| method |") and len(table.splitlines()) == 2 + 4


def test_a_models_name_cannot_write_into_the_page(tmp_path: Path) -> None:
    found = comparison() | {"model": "</script><script>alert(1)</script>"}
    page = write(found, tmp_path)
    assert "<script>alert(1)" not in page
