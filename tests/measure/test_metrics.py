"""What each metric is, by hand, and how the measured positions are laid out."""

import math

import pytest
import torch

from pinpoint.data import EncodedPair
from pinpoint.errors import ConfigError
from pinpoint.measure import METRICS, Forced, forced, metric_named, preference, shared_lengths, site_counts, sites
from pinpoint.measure._values import values_of_logits

LOGITS = torch.tensor([[1.0, 2.0, 4.0, 7.0], [0.5, 3.0, -1.0, 2.0]])
UNWANTED, WANTED = [1, 2], [0, 3]


def test_each_metric_is_its_formula() -> None:
    def of(name: str) -> list[float]:
        return METRICS[name].value(LOGITS, UNWANTED, WANTED).tolist()

    assert of("logit_diff") == of("mean_logprob_diff") == pytest.approx([3 - 4, 1 - 1.25])
    odds = [
        math.log(math.exp(2) + math.exp(4)) - math.log(math.exp(1) + math.exp(7)),
        math.log(math.exp(3) + math.exp(-1)) - math.log(math.exp(0.5) + math.exp(2)),
    ]
    assert of("log_odds") == of("logprob_diff") == pytest.approx(odds)
    assert of("paper_share") == pytest.approx([3 / 7, 1 / 2.25])


def test_effects_are_differences_but_for_the_published_percentage() -> None:
    patched, reference = torch.tensor([[3.0, 5.0]]), torch.tensor([[2.0]])
    assert METRICS["paper_share"].effect(patched, reference).tolist() == [[50.0, 150.0]]
    for name in set(METRICS) - {"paper_share"}:
        assert METRICS[name].effect(patched, reference).tolist() == [[1.0, 3.0]]


def test_continuations_are_scored_by_sum_or_mean_and_the_next_token_by_neither() -> None:
    rows = torch.tensor([[-1.0, -3.0], [-2.0, -2.5]])
    summed, averaged = METRICS["logprob_diff"].over, METRICS["mean_logprob_diff"].over
    assert summed is not None and summed(rows).tolist() == [-4.0, -4.5]
    assert averaged is not None and averaged(rows).tolist() == [-2.0, -2.25]
    assert {name for name, metric in METRICS.items() if metric.over is None} == {
        "logit_diff",
        "log_odds",
        "paper_share",
    }


def test_names_and_units() -> None:
    assert {name: metric.unit for name, metric in METRICS.items()} == {
        "logit_diff": "logits",
        "log_odds": "nats",
        "paper_share": "%",
        "logprob_diff": "nats",
        "mean_logprob_diff": "nats per token",
    }
    assert metric_named("log_odds") is METRICS["log_odds"]
    with pytest.raises(ConfigError, match=r"^metric 'odds' is unknown\. Use one of logit_diff, log_odds, paper_share"):
        metric_named("odds")


def test_a_preference_is_log_odds_but_for_metrics_of_continuations() -> None:
    assert {name: preference(name).name for name in METRICS} == {
        "logit_diff": "log_odds",
        "log_odds": "log_odds",
        "paper_share": "log_odds",
        "logprob_diff": "logprob_diff",
        "mean_logprob_diff": "mean_logprob_diff",
    }


def test_what_prompts_begin_with_alike_never_holds_the_last_token_of_either() -> None:
    pairs = [
        EncodedPair([1, 2, 3, 4], [1, 2, 9, 4], [5], [6]),
        EncodedPair([1, 2, 3], [1, 2, 3], [5], [6]),
        EncodedPair([1, 2, 3, 4], [1, 2], [5], [6]),
        EncodedPair([1], [1, 2], [5], [6]),
        EncodedPair([7, 2], [1, 2], [5], [6]),
    ]
    assert shared_lengths(pairs) == [2, 2, 1, 0, 0]


def test_a_pair_is_run_once_for_each_continuation_without_its_last_token() -> None:
    plain = EncodedPair([1, 2], [1, 3, 4], [5], [6])
    whole = EncodedPair([1, 2], [1, 3, 4], [0], [1], [[5, 6, 7], [8]])
    assert forced([plain, whole]) == [
        Forced([1, 2], [1, 3, 4], 1, 1),
        Forced([1, 2, 5, 6], [1, 3, 4, 5, 6], 1, 3),
        Forced([1, 2], [1, 3, 4], 1, 1),
    ]
    assert site_counts([plain, whole]) == [1, 4]


def test_measured_positions_end_each_row_first_to_last() -> None:
    runs = [Forced([1] * 5, [1] * 6, 0, 3), Forced([1] * 2, [1] * 4, 0, 1)]
    found = sites(torch.tensor([4, 1, 5, 3]), runs)
    assert found.rows.tolist() == [0, 0, 0, 1, 2, 2, 2, 3]
    assert found.places.tolist() == [2, 3, 4, 1, 3, 4, 5, 3]
    assert found.height == 4
    alone = sites(torch.tensor([4, 1]), runs)
    assert (alone.rows.tolist(), alone.places.tolist(), alone.height) == ([0, 0, 0, 1], [2, 3, 4, 1], 2)
    x = torch.arange(4 * 6 * 2.0).view(4, 6, 2)
    expected = x[found.rows, found.places]
    assert torch.equal(found.at(x), expected)
    assert torch.equal(found.at(x.flatten(0, 1)), expected), "some modules put out rows and positions as one"


def test_of_continuations_every_token_counts_on_its_own_side() -> None:
    pairs = [
        EncodedPair([1], [2], [0], [1, 2], [[3, 1], [2], [0, 0]]),
        EncodedPair([1], [2], [0], [1], [[1], [3]]),
    ]
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    logs = logits.log_softmax(dim=1)
    first = [logs[0, 3] + logs[1, 1], logs[2, 2], logs[3, 0] + logs[4, 0]]
    expected = [first[0] - torch.stack(first[1:]).logsumexp(0), logs[5, 1] - logs[6, 3]]
    found = values_of_logits(logits, pairs, METRICS["logprob_diff"])
    assert found.tolist() == pytest.approx(torch.stack(expected).tolist(), abs=1e-6)
    mean = [first[0] / 2 - (first[1] + first[2] / 2) / 2, expected[1]]
    found = values_of_logits(logits, pairs, METRICS["mean_logprob_diff"])
    assert found.tolist() == pytest.approx(torch.stack(mean).tolist(), abs=1e-6)


def test_of_next_tokens_each_pair_has_its_own_answers() -> None:
    pairs = [EncodedPair([1], [2], [1, 2], [0]), EncodedPair([1], [2], [3], [0, 1])]
    found = values_of_logits(LOGITS, pairs, METRICS["logit_diff"])
    assert found.tolist() == pytest.approx([3 - 1, 2 - 1.75])
