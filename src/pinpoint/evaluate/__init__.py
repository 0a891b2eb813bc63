"""How a model does on a behaviour's items and on general abilities, and its distance from the base."""

from pinpoint.evaluate._capability import Abilities, Ability, Finished, capability, versus
from pinpoint.evaluate._evaluate import Evaluation, Sets, TaskResult, evaluate, evaluate_replies, metrics
from pinpoint.evaluate._paired import versus_base, versus_tuned
from pinpoint.evaluate._score import Scored, score
from pinpoint.evaluate._tasks import PRESETS, Asked, Tasks, asked_by, find_tasks
from pinpoint.evaluate._verdict import VERDICTS

__all__ = [
    "PRESETS",
    "VERDICTS",
    "Abilities",
    "Ability",
    "Asked",
    "Finished",
    "Evaluation",
    "Scored",
    "Sets",
    "TaskResult",
    "Tasks",
    "asked_by",
    "capability",
    "evaluate",
    "evaluate_replies",
    "find_tasks",
    "metrics",
    "score",
    "versus",
    "versus_base",
    "versus_tuned",
]
