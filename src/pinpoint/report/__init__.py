"""One self-contained page about a run, and the model card of an export."""

from pinpoint.report._card import CardFacts, model_card
from pinpoint.report._comparison import write_comparison
from pinpoint.report._comparison_tables import comparison_rows, tested_columns
from pinpoint.report._contrasts import contrast_lines, contrast_table, contrast_words
from pinpoint.report._format import RATE, all_of, control
from pinpoint.report._page import write_page
from pinpoint.report._rows import Row, ability_label, further_rows, method_rows, set_rows
from pinpoint.report._summary import Summary, read_summary
from pinpoint.report._sweep import SWEEP_TITLES, sweep_tables, write_sweep

__all__ = [
    "RATE",
    "SWEEP_TITLES",
    "CardFacts",
    "Row",
    "Summary",
    "all_of",
    "comparison_rows",
    "control",
    "contrast_lines",
    "contrast_table",
    "contrast_words",
    "ability_label",
    "further_rows",
    "method_rows",
    "model_card",
    "read_summary",
    "set_rows",
    "sweep_tables",
    "tested_columns",
    "write_comparison",
    "write_page",
    "write_sweep",
]
