"""Generation, judges, statistics and distribution shift: what verify and evaluate share."""

from pinpoint.measure._are_you_sure import Exchange, play
from pinpoint.measure._attention import attention_shares
from pinpoint.measure._chat import Chat, greedy_config
from pinpoint.measure._controls import matched_order, random_order
from pinpoint.measure._deployment import PLAIN, Deployment
from pinpoint.measure._judge import admits_mistake, is_correct, letter_of, options_of
from pinpoint.measure._judges import Answered, Judge, ModelJudge, Rules, judge_of, local_chat
from pinpoint.measure._metrics import METRICS, Metric, metric_named
from pinpoint.measure._reading import gives
from pinpoint.measure._shift import ReplyRow, anchor_rows, head_means, next_token_kl, reply_kl
from pinpoint.measure._stability import top_overlap
from pinpoint.measure._stats import UNDEFINED, Estimate, difference, estimate, gap, share
from pinpoint.measure._tests import Flips, holm, mcnemar

__all__ = [
    "METRICS",
    "PLAIN",
    "ReplyRow",
    "UNDEFINED",
    "Answered",
    "Chat",
    "Deployment",
    "Estimate",
    "Exchange",
    "Flips",
    "Judge",
    "Metric",
    "ModelJudge",
    "Rules",
    "admits_mistake",
    "anchor_rows",
    "attention_shares",
    "difference",
    "estimate",
    "gap",
    "gives",
    "greedy_config",
    "head_means",
    "holm",
    "is_correct",
    "judge_of",
    "letter_of",
    "local_chat",
    "matched_order",
    "mcnemar",
    "metric_named",
    "next_token_kl",
    "options_of",
    "play",
    "random_order",
    "reply_kl",
    "share",
    "top_overlap",
]
