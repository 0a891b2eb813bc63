"""Capture, patch, knock out and steer. The only package that registers hooks or substitutes a module."""

from pinpoint.interventions._after_heads import AfterHeads
from pinpoint.interventions._below import Below
from pinpoint.interventions._hooks import (
    after_blocks,
    edited_inputs,
    edited_outputs,
    seen_inputs,
    seen_outputs,
    seen_whole_outputs,
)
from pinpoint.interventions._knockout import captured_heads, knockout, resample
from pinpoint.interventions._offloading import at_hand, offloading, one_block_at_hand
from pinpoint.interventions._residual import NARROW, residual_in_float32
from pinpoint.interventions._routes import seen_choices
from pinpoint.interventions._steer import Steering, steer
from pinpoint.interventions._supply import final_logits, next_token_logits, run_block
from pinpoint.interventions._unembedding import backbone_once, only_at
from pinpoint.interventions._widened import WIDER, computing_dtype, widened

__all__ = [
    "NARROW",
    "WIDER",
    "AfterHeads",
    "Below",
    "Steering",
    "after_blocks",
    "at_hand",
    "backbone_once",
    "captured_heads",
    "computing_dtype",
    "edited_inputs",
    "edited_outputs",
    "final_logits",
    "knockout",
    "next_token_logits",
    "offloading",
    "one_block_at_hand",
    "only_at",
    "resample",
    "residual_in_float32",
    "run_block",
    "seen_choices",
    "seen_inputs",
    "seen_outputs",
    "seen_whole_outputs",
    "steer",
    "widened",
]
