"""How a model does on a behaviour's items and on general abilities, and its distance from the base."""

from pinpoint.evaluate._evaluate import Evaluation, Sets, TaskResult, evaluate, evaluate_replies, metrics
from pinpoint.evaluate._paired import versus_base
from pinpoint.evaluate._score import VERDICTS, Scored, score

__all__ = [
    "VERDICTS",
    "Evaluation",
    "Scored",
    "Sets",
    "TaskResult",
    "evaluate",
    "evaluate_replies",
    "metrics",
    "score",
    "versus_base",
]
