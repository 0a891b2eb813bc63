"""How far models moved elsewhere than on neutral dialogues: labels, and what the numbers mean."""

from typing import Any

from pinpoint.config import EvaluateConfig
from pinpoint.measure import SHIFTS

_MEANINGS = {
    "kl_passages": "The same on plain text, without a chat template: averaged over the tokens of a passage after its "
    "first one, {passage_tokens} tokens of it at the most, then over passages.",
    "kl_greedy": "The same over what the base itself says, greedily, in place of a neutral dialogue's last reply: "
    "averaged over {greedy_tokens} tokens, fewer where it comes to its end, then over dialogues.",
    "kl_passages_greedy": "The same over what the base itself says, greedily, after a passage: averaged over "
    "{greedy_tokens} tokens, fewer where it comes to its end, then over passages.",
}


def shift_labels(summary: dict[str, Any]) -> dict[str, str]:
    """Labels of the further divergences that any method was measured on, by name."""
    methods = summary["methods"].values()
    return {name: label for name, label in SHIFTS.items() if any(name in found for found in methods)}


def shift_meanings(summary: dict[str, Any], config: EvaluateConfig) -> dict[str, str]:
    """What each of them means, by label."""
    settings = config.model_dump()
    return {label: _MEANINGS[name].format(**settings) for name, label in shift_labels(summary).items()}
