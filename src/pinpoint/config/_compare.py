"""Settings of `compare`."""

from typing import Literal, get_args

from pydantic import Field

from pinpoint.config._base import Settings

Method = Literal[
    "base",
    "full",
    "lora",
    "pinpoint",
    "head_lora",
    "heads_mlp",
    "random",
    "matched",
    "bottom",
    "pinpoint_anchored",
    "pinpoint_dpo",
    "pinpoint_own",
    "few_shot",
    "system_prompt",
    "caa",
    "iti",
]


class CompareConfig(Settings):
    """Settings of `compare`: the located heads' tuning beside other methods, trained alike."""

    methods: tuple[Method, ...] = get_args(Method)
    """Which ones; `base` and `pinpoint` are always among them."""
    draws: int = Field(5, ge=1)
    """Random and layer-matched head sets."""
    epochs: float = Field(2.5, gt=0)
    """Passes over the training dialogues, the same for every trained method; nothing stops early."""
    tries: int = Field(4, ge=1)
    """Learning rates tried for a method, at the most. Steering has more: at each of three layers (`caa`) or for each of
    two numbers of heads (`iti`), two more at the most. With 1 nothing is searched: every method has one setting."""
    rank: int = Field(16, ge=1)
    """Of LoRA."""
