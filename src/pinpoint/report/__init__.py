"""One self-contained page about a run, and the model card of an export."""

from pinpoint.report._card import CardFacts, model_card
from pinpoint.report._comparison import comparison_rows, write_comparison
from pinpoint.report._page import write_page
from pinpoint.report._rows import Row, ability_label, method_rows

__all__ = [
    "CardFacts",
    "Row",
    "comparison_rows",
    "ability_label",
    "method_rows",
    "model_card",
    "write_comparison",
    "write_page",
]
