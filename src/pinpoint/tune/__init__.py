"""Fine-tuning only the located heads, and full fine-tuning to compare with."""

from pinpoint.tune._adapter import put_on, resume_adapter
from pinpoint.tune._check import Check, Checkpoint, Found, estimates_of, reaches, values_of, words_of
from pinpoint.tune._fit import Fitted, fit
from pinpoint.tune._lengths import check_rows
from pinpoint.tune._lora import attach_head_lora, attach_lora
from pinpoint.tune._rows import Anchor, Row
from pinpoint.tune._slices import Slice, attach, default_projections, freeze_selectors, head_slices
from pinpoint.tune._tune import Tuned, fit_heads, save_model, tune_full, tune_heads

__all__ = [
    "Anchor",
    "Check",
    "Checkpoint",
    "Fitted",
    "Found",
    "Row",
    "Slice",
    "Tuned",
    "attach",
    "attach_head_lora",
    "attach_lora",
    "check_rows",
    "default_projections",
    "estimates_of",
    "fit",
    "fit_heads",
    "freeze_selectors",
    "head_slices",
    "put_on",
    "reaches",
    "resume_adapter",
    "save_model",
    "tune_full",
    "tune_heads",
    "values_of",
    "words_of",
]
