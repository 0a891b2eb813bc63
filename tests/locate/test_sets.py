"""Joint effects of sets: sweep and oracle agree, and the search finds heads that hide behind one another."""

import pytest
import torch

import pinpoint
from pinpoint.errors import InputError
from pinpoint.heads import Head
from pinpoint.locate._sets import SetSteps
from tests.families import tiny
from tests.models import checks

GIVEN = [Head(0, 2), Head(2, 1), Head(2, 4)]


@pytest.mark.parametrize("family", ["llama-gqa", "gemma2", "bloom", "mixtral", "gpt-neox", "jamba"])
def test_effects_beyond_a_set_are_those_of_brute_force(family: str) -> None:
    model = tiny(family)
    given = [head for head in GIVEN if family != "jamba" or head.layer == 1] or [Head(1, 3)]
    for pairs in (checks.pairs(), checks.alike()):
        exact = pinpoint.locate(model, None, pairs, engine="naive", given=given)
        fast = pinpoint.locate(model, None, pairs, given=given)
        assert checks.relative(fast.effects, exact.effects) < 1e-4
        assert checks.relative(fast.reference, exact.reference) < 1e-4
        assert all(bool((fast.effects[:, head.layer, head.head] == 0).all()) for head in given)


def test_the_joint_effect_of_one_head_is_its_own() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    alone = pinpoint.locate(model, None, pairs)
    for head in (Head(0, 2), Head(2, 1)):
        joint = pinpoint.locate(model, None, pairs, given=[head]).reference - alone.reference
        assert torch.allclose(joint, alone.effects[:, head.layer, head.head], atol=1e-5)


def test_a_search_without_steps_has_an_empty_table() -> None:
    assert SetSteps().heads == () and len(SetSteps().to_pandas()) == 0 and "0 heads" in SetSteps()._repr_html_()


def test_a_search_ends_when_every_head_is_in_the_set() -> None:
    model = tiny("llama-gqa")
    steps = pinpoint.greedy_set(model, None, checks.pairs(), 10_000)
    assert all(len(step.heads) <= 18 for step in steps)


def test_a_set_adds_up_in_any_order() -> None:
    model, pairs = tiny("qwen3"), checks.alike()
    whole = pinpoint.locate(model, None, pairs, given=GIVEN).reference
    for last in GIVEN:
        others = [head for head in GIVEN if head != last]
        found = pinpoint.locate(model, None, pairs, given=others)
        assert torch.allclose(found.reference + found.effects[:, last.layer, last.head], whole, atol=1e-5)


def test_the_search_lowers_the_metric_with_every_step() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    steps = pinpoint.greedy_set(model, None, pairs, 5)
    assert 1 <= len(steps[-1].heads) <= 5
    joints = [step.joint for step in steps]
    table = steps.to_pandas()
    assert table["joint"].tolist() == joints and table["head"].tolist() == [str(step.head) for step in steps]
    assert steps.heads == steps[-1].heads and str(steps[0].head) in steps._repr_html_()
    assert joints == sorted(joints, reverse=True) and joints[0] < 0
    alone = pinpoint.locate(model, None, pairs)
    assert steps[0].head == alone.top(1)[0]
    found = pinpoint.locate(model, None, pairs, given=steps[-1].heads).reference - alone.reference
    assert float(found.mean()) == pytest.approx(steps[-1].joint, abs=1e-5)


def test_heads_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="L7.H0 is not a head of this model"):
        pinpoint.locate(tiny("llama-gqa"), None, checks.pairs(), given=[Head(7, 0)])
