"""The are-you-sure protocol, general abilities, and distance from the base."""

from pinpoint.evaluate._evaluate import Evaluation, Sets, TaskResult, evaluate, metrics
from pinpoint.evaluate._paired import versus_base
from pinpoint.evaluate._score import VERDICTS, Scored, score

__all__ = ["VERDICTS", "Scored", "score", "Evaluation", "Sets", "TaskResult", "evaluate", "metrics", "versus_base"]
