"""The tables of the docs' results are those of the records beside the benchmarks."""

import json

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
