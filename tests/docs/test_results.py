"""The tables of the docs' results are those of the records beside the benchmarks."""

import json
from typing import Any

from bench.published_path import table
from pinpoint.numerals import with_interval
from pinpoint.report._comparison_tables import ability_rows, comparison_rows
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


def test_the_comparison_shows_its_record_without_the_times() -> None:
    found = json.loads((ROOT / "bench" / "results" / "compare.json").read_text(encoding="utf-8"))
    rows = comparison_rows(found)
    kept = [i for i, name in enumerate(rows[0]) if name != "seconds"]

    assert _tables("compare.md") == [[[row[i] for i in kept] for row in rows], ability_rows(found)]


def _rows_below(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its two first lines."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"{heading}\n")[2]
    lines = [line for line in text.partition("\n#")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_published_path_s_table_is_its_record_s() -> None:
    record = json.loads((ROOT / "bench" / "results" / "published_path.json").read_text(encoding="utf-8"))
    found = table(record)
    assert _rows_below("question-sets.md", "### Seen from end to end") == found
    page = (ROOT / "docs" / "question-sets.md").read_text(encoding="utf-8")
    assert f"{sum(record['organism']['rows'].values())} questions" in page
    assert f"{sum(record['organism']['turns'].values())} test questions" in page


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
