"""One self-contained page about a run."""

from pinpoint.report._comparison import comparison_rows, write_comparison
from pinpoint.report._page import write_page
from pinpoint.report._rows import Row, method_rows

__all__ = ["Row", "comparison_rows", "method_rows", "write_comparison", "write_page"]
