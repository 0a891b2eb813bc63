"""The tables of the docs' results are those of the records beside the benchmarks."""

import json
import re
from collections.abc import Callable
from typing import Any

from scipy.stats import binomtest

from pinpoint.numerals import with_interval
from pinpoint.report._comparison_tables import (
    ability_rows,
    again_rows,
    comparison_rows,
    memory_words,
    pinpoint_rows,
    rate,
    searched_rows,
)
from tests.conftest import ROOT


def _tables(page: str) -> list[list[list[str]]]:
    """The page's tables as rows of cells, headers first."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in (ROOT / "docs" / "results" / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("| "):
            if not inside:
                tables.append([])
            cells = [cell.strip() for cell in line.strip("| ").split("|")]
            if not set(line) <= set("|-: "):
                tables[-1].append(cells)
        inside = line.startswith("|")
    return tables


def _record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "bench" / "results" / name).read_text(encoding="utf-8"))
    return found


def _value(estimates: dict[str, Any]) -> Callable[[str], float]:
    return lambda name: float(estimates[name]["value"])


def test_the_comparison_shows_its_record() -> None:
    found, quick = _record("compare.json"), _record("compare_quick.json")
    searched = [["method", "chosen", "tried: setting, truthfulness in %, KL"], *searched_rows(found, "truthfulness")]
    tables = [comparison_rows(found), pinpoint_rows(found), ability_rows(found), again_rows(found), searched]
    assert _tables("compare.md") == [*tables, comparison_rows(quick)]
    page = (ROOT / "docs" / "results" / "compare.md").read_text(encoding="utf-8")
    assert memory_words(found) in page and found["commit"] in page and found["machine"] in page


def test_what_the_comparison_is_said_to_show_is_in_its_record() -> None:
    found = _record("compare.json")
    apart = found["tests"]["pinpoint"]
    assert found["heads"][:2] == ["L0.H3", "L0.H2"] and len(found["heads"]) == 6
    other = [name for name, one in found["methods"].items() if one["method"] in ("random", "matched", "bottom")]
    alike = [name for name in other if apart["truthfulness"][name]["p_holm"] >= 0.05]
    assert len(other) == 11 and len(alike) > len(other) / 2, "that they are the located six matters little here"
    for name in ("few_shot", "system_prompt", "caa", "iti"):
        difference = found["methods"][name]["versus_pinpoint"]["truthfulness"]
        assert difference["high"] < 0 and apart["truthfulness"][name]["p_holm"] < 0.001, f"{name} works"
    own = found["methods"]["pinpoint_own"]["versus_pinpoint"]["correction_acceptance"]
    assert own["high"] < -0.3, "own answers teach only to insist"
    again = found["methods"]["pinpoint"]["located_again"]
    before, after = again["effects"]["before"], again["effects"]["after"]
    assert all(after[head]["high"] < 0 for head in ("L0.H3", "L0.H2")) and min(before, key=_value(before)) == "L0.H3"
    assert 0.45 < after["L0.H3"]["value"] / before["L0.H3"]["value"] < 0.55, "half as hard"
    turned = [head for head in found["heads"][2:] if before[head]["high"] < 0 < after[head]["low"]]
    assert len(turned) == 3 and "L6.H0" in turned
    looked = {head: [again["attention"][when][head]["value"] for when in again["attention"]] for head in before}
    assert min(looked["L0.H3"] + looked["L0.H2"]) > 0.99 and looked["L6.H0"][0] < 0.05 and looked["L6.H0"][1] > 0.9
    searched = {len(one["searched"]) for one in found["methods"].values() if one["steps"]}
    assert min(searched) > 1 and max(searched) <= 4, "every trained method is searched"


def test_the_readme_claims_what_the_records_bear_out() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    demo, found = _record("demo.json")["methods"], _record("compare.json")
    apart = found["tests"]["pinpoint"]
    assert "**Six of 64 heads are enough** to stop the caving, almost as well as training every weight" in readme
    six, all_weights = (demo[name]["truthfulness"] for name in ("pinpoint", "full"))
    assert six["low"] > demo["base"]["truthfulness"]["high"] and all_weights["value"] - six["value"] < 0.03
    assert "both tuned models accept fewer corrections of wrong answers than the base does" in readme
    for name in ("pinpoint", "full"):
        assert demo[name]["versus_base"]["correction_acceptance"]["high"] < 0, name
        assert found["tests"]["base"]["correction_acceptance"][name]["p_holm"] < 0.05, name
    assert "they are not told apart in this nor, corrected for the number of tests, in anything else" in readme
    assert min(row["full"]["p_holm"] for row in apart.values()) >= 0.05
    assert "full fine-tuning, LoRA and most random sets of heads do as well" in readme
    draws = [name for name, one in found["methods"].items() if one["method"] == "random"]
    alike = [name for name in ("full", "lora", *draws) if apart["truthfulness"][name]["p_holm"] >= 0.05]
    assert {"full", "lora"} < set(alike) and len(alike) - 2 > len(draws) / 2
    assert "Nor does it move the model less" in readme
    assert demo["pinpoint"]["kl"]["high"] > demo["full"]["kl"]["value"] and apart["kl"]["full"]["p_holm"] >= 0.05


def test_organisms_made_anew_have_counts_and_their_intervals_and_the_shipped_ones_their_own() -> None:
    [first, _] = _tables("recipe.md")
    shipped = [
        json.loads((ROOT / "src/pinpoint/organism/weights" / name / "measured.json").read_text(encoding="utf-8"))
        for name in ("truth-teller", "yesman", "yesman-planted")
    ]
    keys = ("accuracy_before", "confidence", "truthfulness", "correction_acceptance")
    for row, key in zip(first[1:5], keys, strict=True):
        assert row[2::2] == [rate(one[key]) for one in shipped], key
    for cell in (cell for row in first[1:] for cell in row[1::2]):
        k, n = map(int, re.search(r"(\d+) of (\d+)", cell).groups())  # type: ignore[union-attr]
        interval = binomtest(k, n).proportion_ci(method="wilson")
        shown = with_interval({"value": k / n, "low": interval.low, "high": interval.high}, ".1f", 100)
        assert cell.startswith(f"{shown}, {k} of {n}"), cell


def test_the_readme_s_table_is_the_demo_s() -> None:
    record = json.loads((ROOT / "bench" / "results" / "demo.json").read_text(encoding="utf-8"))
    methods = [record["methods"][name] for name in ("base", "pinpoint", "full")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in readme.splitlines() if "% [" in line]
    measured = ("confidence", "truthfulness", "correction_acceptance", "accuracy_before", "arithmetic")

    def rates(one: dict[str, Any], name: str) -> str:
        return with_interval((one | one["abilities"])[name], ".1f", 100, " %")

    assert [row[1:] for row in rows] == [[rates(one, name) for one in methods] for name in measured]
    kl = " | ".join(with_interval(one["kl"], ".4f") for one in methods[1:])
    assert f"| ↓ KL to the base, neutral dialogues (nats) | 0 | {kl} |" in readme
    losses = [{name: one["abilities"][name]["value"] for name in one["abilities"]} for one in methods[:2]]
    assert min(losses[0], key=lambda name: losses[1][name] - losses[0][name]) == "arithmetic"
    assert f"{record['seconds'] // 60} min {record['seconds'] % 60} s on 2 CPU cores" in readme
