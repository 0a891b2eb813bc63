"""The tables of `export`, `push` and `reproduce`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from pinpoint.cli._console import results, safe

if TYPE_CHECKING:
    from pinpoint.pipeline import Reproduction


def print_files(sizes: Mapping[str, int], *, title: str, on: Console | None = None) -> None:
    """Files with their sizes, and the total; on stdout by default."""
    table = Table(title=safe(title), title_justify="left", show_footer=True)
    table.add_column("file", footer=f"{len(sizes)} files")
    table.add_column("size", justify="right", footer=decimal(sum(sizes.values())))
    for name, size in sizes.items():
        table.add_row(safe(name), decimal(size))
    (on or results()).print(table)


def print_reproduction(found: Reproduction) -> None:
    """What came out the same, to the bit, and how far off the metrics are where it did not."""
    table = Table(title="SHA-256 of the results", title_justify="left")
    for name in ("result", "recorded", "here", "equal"):
        table.add_column(name)
    for row in found.results:
        table.add_row(safe(row.name), safe(row.recorded[:12]), row.here[:12], "yes" if row.equal else "NO")
    results().print(table)
    if found.metrics:
        table = Table(title="Metrics that differ", title_justify="left")
        for name in ("method", "metric", "recorded", "here"):
            table.add_column(name, justify="left" if name in ("method", "metric") else "right")
        for one in found.metrics:
            values = ("undefined" if value is None else f"{value:.6g}" for value in (one.recorded, one.here))
            table.add_row(safe(one.method), safe(one.metric), *values)
        results().print(table)
