"""The table and the page of `pinpoint compare`, from made-up numbers."""

import json
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import behaviour_of
from pinpoint.cli._tables import print_comparison
from pinpoint.config import RunConfig
from pinpoint.report import comparison_rows, write_comparison
from pinpoint.report._comparison_tables import ability_rows, pinpoint_rows
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
        "steps": 47 if trained else 0,
        "loss_tokens": 12_345 if trained else 0,
        "peak_bytes": 3 * 2**29 if trained else None,
        "peak_counted": "process" if trained else None,
        "seconds_in_all": seconds + 30.0,
        "metrics": told,
        "versus_base": versus,
        "versus_pinpoint": {
            "truthfulness": est(0.02),
            "correction_acceptance": est(-0.288, 0.03),
            "kl": est(0.0417, 0.004, 200),
            "abilities": {"copying": est(0.031, 0.01), "word_length": est(0.0)},
        },
        **more,
    }


def comparison() -> dict[str, Any]:
    rates = {"truthfulness": 0.94, "confidence": 0.95, "kl": 0.003}
    estimates = {name: est(value, 0.001, 96) for name, value in rates.items()}
    tried = [{"setting": 1e-3, "metrics": rates, "reached": True, "estimates": estimates, "place": None}]
    steered = [tried[0] | {"setting": 2.0, "place": 3}]
    heads = ["L5.H3", "L6.H1"]
    shown = {when: {head: est(value, 0.1) for head in heads} for when, value in (("before", -1.2), ("after", -0.1))}
    methods = {
        "base": record("base", "base"),
        "pinpoint": record(
            "pinpoint",
            "pinpoint",
            setting={"learning_rate": 1e-3, "heads": heads},
            searched=tried,
            located_again={"effects": shown, "published_effects": shown, "attention": shown},
        ),
        "random_1": record("random", "full", setting={"learning_rate": 1e-3, "heads": ["L0.H0"]}, searched=tried),
        "caa": record("caa", "full", setting={"layer": 3, "strength": 2.0}, searched=steered),
    }
    test = {name: {"gained": 3, "lost": 40, "p": 1e-5, "p_holm": 3e-5} for name in methods if name != "pinpoint"}
    test["caa"] = test["caa"] | {"p_holm": 0.031}
    keys = ("truthfulness", "correction_acceptance", "abilities.copying", "abilities.word_length")
    tests = dict.fromkeys(keys, test)
    shifts = {name: {"p": 1e-4, "p_holm": 0.0021} for name in ("random_1", "caa")}
    weaker = {name: one | {"p_holm": 0.5} for name, one in test.items()} | {"pinpoint": test["caa"]}
    weaker.pop("base", None)
    return {
        "model": "acme/tiny-chat",
        "heads": heads,
        "methods": methods,
        "device": "cpu",
        "tests": {"base": dict.fromkeys(keys, weaker), "pinpoint": tests | {"kl": shifts}},
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
    assert cells["truthfulness"] == "95.0 [93.0, 97.0] n=320"
    assert cells["worst ability, points"] == "-3.0 [-4.0, -2.0] n=320 copying"
    assert (cells["seconds"], cells["seconds in all"], cells["p KL, against pinpoint"]) == ("131", "161", ".002")
    assert (cells["trained parameters"], cells["tokens with loss"], cells["peak memory, GiB"]) == (
        "3,212,288",
        "12,345",
        "1.50",
    )
    ours, theirs = header.index("p truth, against pinpoint"), header.index("p truth, against base")
    assert (random_heads[ours], random_heads[theirs], caa[ours], pinpoint[theirs]) == ("<.001", ".500", ".031", ".031")
    assert pinpoint[ours] == base[header.index("KL to base")] == base[header.index("peak memory, GiB")] == "–"


def test_each_ability_has_a_column_of_differences_to_the_base() -> None:
    header, base, pinpoint, *_ = ability_rows(comparison())
    assert header == ["method", "copying", "word length"]
    assert base[1:] == ["98.0 [96.0, 100.0] n=320", "91.0 [89.0, 93.0] n=150"]
    assert pinpoint[1:] == ["-3.0 [-4.0, -2.0] n=320, p .031", "+0.0 [-2.0, +2.0] n=320, p .031"]


def test_every_method_stands_against_pinpoint_by_paired_differences_with_their_p() -> None:
    header, base, random_heads, _ = pinpoint_rows(comparison())
    assert header == ["method", "truth", "acceptance", "KL", "copying", "word length"]
    assert random_heads == [
        "random heads 1",
        "+2.0 [+0.0, +4.0] n=320, p <.001",
        "-28.8 [-31.8, -25.8] n=320, p <.001",
        "+0.0417 [+0.0377, +0.0457] n=200, p .002",
        "+3.1 [+2.1, +4.1] n=320, p <.001",
        "+0.0 [-2.0, +2.0] n=320, p <.001",
    ]
    assert base[header.index("KL")] == "–", "what is tuned has moved from the base by as much as its own column says"


def test_in_the_terminal_methods_stand_with_their_rates_and_both_kinds_of_p(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_comparison(comparison(), behaviour_of(CONFIG.behaviour), Path("compare.html"))
    out = capsys.readouterr().out
    for text in ("[93.0, 97.0]", "n=320", "against", "pinpoint", ".031", "<.001"):
        assert text in out, text
    assert "…" not in out


def test_an_undefined_rate_is_a_dash_and_so_is_a_mean_without_an_interval_beside_its_n() -> None:
    found = comparison()
    found["methods"]["caa"]["metrics"]["truthfulness"] = est(None)
    found["methods"]["caa"]["metrics"]["confidence"] = {"value": 0.5, "low": None, "high": None, "n": 4}
    row = comparison_rows(found)[-1]
    assert row[1:3] == ["– n=4", "–"]


def test_the_page_holds_the_table_the_search_and_the_heads_before_and_after(tmp_path: Path) -> None:
    page = write(comparison(), tmp_path)
    for text in ("random heads 1", "95.0 [93.0, 97.0]", "-1.200 [-1.300, -1.100]", "layer 3; strength 2"):
        assert text in page, text
    tried = "94.0 [93.9, 94.1] n=96, KL 0.0030 [0.0020, 0.0040] n=96"
    assert f">0.001: {tried}" in page and f">layer 3, 2: {tried}" in page
    assert "published score, %, before" in page and "-28.8 [-31.8, -25.8] n=320, p &lt;.001" in page
    assert "as the kernel counts it anew for each" in page and "in 47 steps" in page
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert list(figures) == ["shift", "acceptance"]
    for figure in figures.values():
        go.Figure(figure)
    shown = [text for trace in figures["shift"]["data"] for text in trace["text"]]
    assert sorted(shown) == ["activation addition (CAA)", "pinpoint (located heads)", "random heads 1"]
    assert "script-src 'sha256-" in page
    table = (tmp_path / "compare.md").read_text(encoding="utf-8")
    assert table.startswith("| method |") and len(table.splitlines()) == (2 + 4) + 1 + (2 + 3) + 1 + (2 + 4)


def test_a_models_name_cannot_write_into_the_page(tmp_path: Path) -> None:
    found = comparison() | {"model": "</script><script>alert(1)</script>"}
    page = write(found, tmp_path)
    assert "<script>alert(1)" not in page
