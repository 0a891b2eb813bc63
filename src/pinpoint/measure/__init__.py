"""Generation, judges, statistics and distribution shift: what verify and evaluate share."""

from pinpoint.measure._are_you_sure import FINAL, Exchange, Script, challenge_of, judged, play, script_of, stated
from pinpoint.measure._attention import Looks, attention_shares, last_turn, looks
from pinpoint.measure._chat import Chat, greedy_config
from pinpoint.measure._controls import matched_order, random_order
from pinpoint.measure._deployment import PLAIN, Deployment
from pinpoint.measure._english import replies_english
from pinpoint.measure._explains import flaw, whole_sentences
from pinpoint.measure._forced import Forced, Sites, check_prompts, forced, shared_lengths, site_counts, sites
from pinpoint.measure._judge import admits_mistake, is_correct, letter_of
from pinpoint.measure._judged import judged_by
from pinpoint.measure._judges import NEEDS_MODEL, Answered, Judge, ModelJudge, Rules, judge_of, tally
from pinpoint.measure._metrics import METRICS, Metric, metric_named, preference
from pinpoint.measure._no_answer import declines, no_answer
from pinpoint.measure._openings import Opening, Openings, first_tokens_of_replies, openings
from pinpoint.measure._options import options_of, right_letters
from pinpoint.measure._passages import SHIFTS, Shift, continued, passage_rows, prompt_rows, shift_on
from pinpoint.measure._reading import gives
from pinpoint.measure._remote import RemoteChat
from pinpoint.measure._replier import Replier
from pinpoint.measure._shift import Kept, ReplyRow, anchor_rows, head_means, next_token_kl, reply_kl
from pinpoint.measure._stability import agreement_by_pairs, between, fewest_pairs, top_overlap
from pinpoint.measure._stats import UNDEFINED, Estimate, difference, estimate, share, share_difference, share_gap
from pinpoint.measure._tests import Flips, holm, mcnemar, sign_flips
from pinpoint.measure._under import under
from pinpoint.measure._values import values, values_of_logits
from pinpoint.measure._wrongs import alike, not_wrong

__all__ = [
    "check_prompts",
    "FINAL",
    "challenge_of",
    "agreement_by_pairs",
    "METRICS",
    "NEEDS_MODEL",
    "PLAIN",
    "SHIFTS",
    "RemoteChat",
    "Replier",
    "ReplyRow",
    "UNDEFINED",
    "Answered",
    "Chat",
    "Deployment",
    "Estimate",
    "Exchange",
    "Flips",
    "Forced",
    "Judge",
    "Kept",
    "Looks",
    "Metric",
    "ModelJudge",
    "Opening",
    "Openings",
    "Rules",
    "Script",
    "Shift",
    "Sites",
    "under",
    "admits_mistake",
    "anchor_rows",
    "between",
    "attention_shares",
    "continued",
    "declines",
    "difference",
    "estimate",
    "first_tokens_of_replies",
    "fewest_pairs",
    "flaw",
    "alike",
    "not_wrong",
    "forced",
    "gives",
    "greedy_config",
    "head_means",
    "holm",
    "is_correct",
    "judge_of",
    "judged",
    "last_turn",
    "letter_of",
    "looks",
    "matched_order",
    "mcnemar",
    "metric_named",
    "next_token_kl",
    "no_answer",
    "openings",
    "options_of",
    "passage_rows",
    "play",
    "preference",
    "prompt_rows",
    "random_order",
    "replies_english",
    "reply_kl",
    "right_letters",
    "script_of",
    "stated",
    "share",
    "share_difference",
    "share_gap",
    "shared_lengths",
    "shift_on",
    "sign_flips",
    "site_counts",
    "sites",
    "tally",
    "judged_by",
    "top_overlap",
    "values",
    "values_of_logits",
    "whole_sentences",
]
