"""How a model does on a behaviour's items and on general abilities, and its distance from the base."""

from pinpoint.evaluate._capability import PRESETS, Ability, Tasks, capability, find_tasks
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
    "Tasks",
    "capability",
    "evaluate",
    "evaluate_replies",
    "find_tasks",
    "metrics",
    "score",
    "versus_base",
]
