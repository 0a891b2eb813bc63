"""How a model does on a behaviour's items and on general abilities, and its distance from the base."""

from pinpoint.evaluate._capability import PRESETS, Ability, capability, task_names
from pinpoint.evaluate._evaluate import Evaluation, Sets, TaskResult, evaluate, evaluate_replies, metrics
from pinpoint.evaluate._paired import versus_base
from pinpoint.evaluate._score import VERDICTS, Scored, score

__all__ = [
    "PRESETS",
    "VERDICTS",
    "Ability",
    "Evaluation",
    "Scored",
    "Sets",
    "TaskResult",
    "capability",
    "evaluate",
    "evaluate_replies",
    "metrics",
    "score",
    "task_names",
    "versus_base",
]
