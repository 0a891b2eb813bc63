"""Fine-tuning only the located heads, and full fine-tuning to compare with."""

from pinpoint.tune._fit import Check, Checkpoint, Fitted, fit
from pinpoint.tune._slices import attach, default_projections, freeze_selectors, head_slices, resume_adapter
from pinpoint.tune._tune import Tuned, save_model, tune_full, tune_heads

__all__ = [
    "Check",
    "Checkpoint",
    "Fitted",
    "Tuned",
    "attach",
    "default_projections",
    "fit",
    "freeze_selectors",
    "head_slices",
    "resume_adapter",
    "save_model",
    "tune_full",
    "tune_heads",
]
