"""Choices of experts: rows are held to the model's own pass, and choices that rounding could turn are counted."""

import math
import sys
from typing import Any

import pytest
import torch

import pinpoint
from pinpoint.errors import PinpointWarning
from pinpoint.heads import Head
from pinpoint.interventions import run_block
from pinpoint.locate._protocol import Effects
from pinpoint.models import headed
from pinpoint.models._routers import Ranking, choices
from pinpoint.reliability import Routing
from tests.families import tiny
from tests.models import checks


@pytest.mark.parametrize("family", ["mixtral", "llama4", "deepseek-v3", "jamba"])
def test_the_reference_among_the_rows_goes_where_the_model_sends_it(family: str) -> None:
    model = tiny(family)
    for pairs in (checks.pairs(), checks.alike()):
        found = pinpoint.locate(model, None, pairs).routing
        assert found == Routing(len(headed(model).routers) * len(pairs), 0, 0)
    assert pinpoint.locate(model, None, pairs, given=[Head(1, 0)]).routing is None
    assert pinpoint.locate(model, None, pairs, engine="naive").routing is None


def test_a_model_without_experts_tells_nothing_of_them() -> None:
    assert pinpoint.locate(tiny("llama-gqa"), None, checks.pairs()).routing is None


def test_choices_between_equal_experts_are_told_as_ties() -> None:
    model = tiny("mixtral")
    routers = headed(model).routers
    for router, _ in routers.values():
        router.weight.data[1] = router.weight.data[0]
    pairs = checks.pairs()
    torn = 0
    for pair in pairs:
        with checks.seen_experts(model) as seen, torch.no_grad():
            model(torch.tensor([pair.reference]))
        torn += sum(int(calls[0][-1, 0] != calls[0][-1, 1]) for calls in seen.values())
    assert torn
    with pytest.warns(PinpointWarning, match=f"{torn} near ties: scores may rest on rounding"):
        found = pinpoint.locate(model, None, pairs)
    assert found.routing is not None and found.routing.ties == torn


BIASED = ("deepseek-v3", "glm4-moe", "minimax-m2", "hy3", "afmoe", "lfm2-moe", "ernie4.5-moe", "nemotron-h")


@pytest.mark.parametrize("family", BIASED)
def test_a_bias_does_not_hide_a_tie(family: str) -> None:
    model = tiny(family)
    routers = headed(model).routers
    for router, _ in routers.values():
        weight = next(weight for weight in router.parameters() if weight.dim() == 2 and weight.shape[0] > 1)
        weight.data[1] = weight.data[0]
    biases = [*model.named_buffers(), *model.named_parameters()]
    for _, bias in (named for named in biases if named[0].endswith(("e_score_correction_bias", "expert_bias"))):
        # Whatever their logits, expert 3 is chosen and 2 is not: one place is left, for 0 or 1.
        bias.data[:] = torch.tensor([0.0, 0.0, -9.0, 9.0])
    with checks.seen_experts(model) as seen, pytest.warns(PinpointWarning, match="near ties"):
        found = pinpoint.locate(model, None, checks.pairs())
    chosen = torch.cat([call for calls in seen.values() for call in calls])
    assert chosen[:, 3].all() and (chosen[:, 0] != chosen[:, 1]).all()
    assert found.routing is not None and found.routing.ties == len(routers) * len(checks.pairs())


def test_rows_that_go_to_other_experts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("mixtral")

    def fewer(view: Any, layer: int, *args: Any) -> Any:
        view.layers[layer].mlp.gate.top_k = 1
        try:
            return run_block(view, layer, *args)
        finally:
            view.layers[layer].mlp.gate.top_k = 2

    monkeypatch.setattr(sys.modules["pinpoint.locate._sweep"], "run_block", fewer)
    with pytest.warns(PinpointWarning, match="9 of 9 choices of experts came out otherwise"):
        pinpoint.locate(model, None, checks.pairs(), rows_per_chunk=4096)


def test_a_margin_is_that_between_the_last_chosen_and_the_first_left_out() -> None:
    logits = torch.tensor([[4.0, 1.0, 3.0, 2.5], [1.0, 1.0, 0.0, -2.0]])
    found = choices((logits, torch.ones(2, 2), torch.tensor([[0, 2], [2, 3]])))
    assert found.chosen.tolist() == [[True, False, True, False], [False, False, True, True]]
    assert found.margin.tolist() == [0.125, torch.inf]  # not by logits were those of the second chosen


def test_a_margin_is_that_of_the_scores_that_select() -> None:
    logits = torch.tensor([[4.0, 1.0, 3.0, 2.5], [1.0, 1.0, 0.0, -2.0]])
    put_out = (logits, torch.ones(2, 2), torch.tensor([[0, 2], [2, 3]]))
    biased = Ranking(logits.sigmoid() + torch.tensor([[0.0], [1.0]]) * torch.tensor([0.0, 0.0, 0.5, 1.0]), 2)
    left, most, least = 1 / (1 + math.exp(-1)), 1 + 1 / (1 + math.exp(2)), 1.0
    # No bias tells on the first token: its logits are what its scores squeeze. Of the second, the scores are told.
    assert choices(put_out, [biased]).margin.tolist() == pytest.approx([0.125, (least - left) / most])
    # One group of two is taken, of the first token by less than experts of it are.
    groups = Ranking(torch.tensor([[1.0, 0.9375], [0.1, 1.0]]), 1)
    assert choices(put_out, [groups, biased]).margin.tolist() == pytest.approx([0.0625, (least - left) / most])
    shut_out = Ranking(torch.tensor([[0.5, 0.25, -torch.inf, -torch.inf], [1.0, 0.5, 0.25, -torch.inf]]), 2)
    assert choices(put_out, [shut_out]).margin.tolist() == [torch.inf, 0.25]


def test_a_router_that_puts_out_logits_alone_takes_the_largest() -> None:
    found = choices(torch.tensor([[4.0, 1.0, 3.0, 2.5]]), takes=2)
    assert found.chosen.tolist() == [[True, False, True, False]] and found.margin.tolist() == [0.125]


def test_what_was_looked_at_is_kept_by_pair() -> None:
    one = Effects(torch.ones(2, 3), torch.ones(2), torch.tensor([[3, 0, 1], [3, 1, 0]]))
    other = Effects(torch.ones(1, 3), torch.ones(1))
    assert Effects.joined([one, other]).whole()[2].tolist() == [[3, 0, 1], [3, 1, 0], [0, 0, 0]]
