"""One self-contained page about a run, and the model card of an export."""

from pinpoint.report._card import CardFacts, model_card
from pinpoint.report._comparison import comparison_rows, write_comparison
from pinpoint.report._contrasts import contrast_table, contrast_words
from pinpoint.report._page import write_page
from pinpoint.report._rows import Row, ability_label, further_rows, method_rows, set_rows
from pinpoint.report._sweep import SWEEP_TITLES, sweep_tables, write_sweep

__all__ = [
    "SWEEP_TITLES",
    "CardFacts",
    "Row",
    "comparison_rows",
    "contrast_table",
    "contrast_words",
    "ability_label",
    "further_rows",
    "method_rows",
    "model_card",
    "set_rows",
    "sweep_tables",
    "write_comparison",
    "write_page",
    "write_sweep",
]
