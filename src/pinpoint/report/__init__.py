"""One self-contained page about a run."""

from pinpoint.report._page import write_page
from pinpoint.report._rows import Row, method_rows

__all__ = ["Row", "method_rows", "write_page"]
