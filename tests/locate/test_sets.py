"""Joint effects of sets: sweep and oracle agree, and the search finds heads that hide behind one another."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.errors import InputError
from pinpoint.heads import Head, HeadScores
from pinpoint.interventions import captured_heads
from pinpoint.locate import FoundSet, Joint, SetStep, SetSteps
from pinpoint.locate._ask import Ask
from pinpoint.locate._sets import _Given, _grown
from pinpoint.models import headed
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
    assert SetSteps().plot().data[0].x == ()


def test_a_joint_effect_is_shown_beside_the_sum_of_what_its_heads_do_alone() -> None:
    joint = Joint(-3.0, 0.5, -2.0, 7)
    assert joint.to_pandas().to_dict("records") == [joint._asdict()]
    said = "-3.0000 (standard error 0.5000); one at a time they add up to -2.0000, on 7 pairs"
    assert str(joint) == said and said in joint._repr_html_()
    (drawn,) = joint.plot().data
    assert drawn.y == (-3.0, -2.0) and drawn.error_y.array == (0.5, 0.0)
    single = joint._replace(standard_error=None)
    assert "standard error" not in str(single) and single.plot().data[0].error_y.array is None


def test_a_found_set_shows_both_searches() -> None:
    one, other = Head(0, 1), Head(2, 3)
    forward = SetSteps([SetStep(True, one, (one,), -1.0), SetStep(True, other, (one, other), -2.5)])
    backward = SetSteps([SetStep(False, Head(1, 1), (other,), -2.0)])
    found = FoundSet((one, other), "forward", -2.5, Joint(-2.0, None, -1.0, 3), forward, backward)
    table = found.to_pandas()
    assert table["search"].tolist() == ["forward", "forward", "backward"]
    assert table.drop(columns="search")[:2].to_dict("list") == forward.to_pandas().to_dict("list")
    drawn = {trace.name: (trace.x, trace.y, trace.text) for trace in found.plot().data}
    assert drawn == {
        "forward": ((1, 2), (-1.0, -2.5), ("+ L0.H1", "+ L2.H3")),
        "backward": ((1,), (-2.0,), ("- L1.H1",)),
    }
    shown = found._repr_html_()
    assert "L0.H1, L2.H3: 2 heads, by the forward search" in shown and str(found.joint) in shown
    assert "did not choose" not in found._replace(joint=None)._repr_html_()


@dataclass(frozen=True)
class _Table(_Given):
    """Scores of three heads on one pair, by what the metric is with each set of them."""

    values: Mapping[str, float] = field(default_factory=dict)

    def metric(self, heads: Iterable[Head]) -> torch.Tensor:
        return torch.tensor([self.values["".join(sorted("ABC"[head.head] for head in heads))]])

    def scores(self, heads: Sequence[Head]) -> HeadScores:
        reference = self.metric(heads)
        beyond = [self.metric({*heads, Head(0, unit)}) - reference for unit in range(3)]
        return HeadScores(torch.stack(beyond, dim=1)[:, None], reference, "logit_diff", "sweep")


def grown(count: int, **values: float) -> list[tuple[str, float]]:
    """What a search adds and drops, and the joint effect then."""
    table = _Table(None, None, [], Ask(), values={"": 0.0} | values)  # type: ignore[arg-type]
    steps = _grown(table, table.scores([]), count)
    return [("-+"[step.added] + "ABC"[step.head.head], step.joint) for step in steps]


def test_a_search_ends_when_every_head_is_in_the_set() -> None:
    every = {"A": -3.0, "B": -2.0, "C": -1.0, "AB": -4.0, "AC": -3.5, "BC": -2.5, "ABC": -5.0}
    assert grown(10, **every) == [("+A", -3.0), ("+B", -4.0), ("+C", -5.0)]


def test_a_head_without_which_the_set_does_more_is_dropped_again() -> None:
    values = {"A": -3.0, "B": -2.0, "C": -1.0, "AB": -4.0, "AC": -3.5, "BC": -7.0, "ABC": -6.0}
    assert grown(3, **values) == [("+A", -3.0), ("+B", -4.0), ("+C", -6.0), ("-A", -7.0)]
    assert grown(3, **(values | {"BC": -6.0})) == [("+A", -3.0), ("+B", -4.0), ("+C", -6.0)]


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
    assert table["step"].tolist() == list(range(1, len(steps) + 1))
    assert table["added"].tolist() == [step.added for step in steps]
    assert table["heads"].tolist() == [",".join(map(str, step.heads)) for step in steps]
    assert steps.heads == steps[-1].heads and str(steps[0].head) in steps._repr_html_()
    assert joints == sorted(joints, reverse=True) and joints[0] < 0
    alone = pinpoint.locate(model, None, pairs)
    assert steps[0].head == alone.top(1)[0]
    found = pinpoint.locate(model, None, pairs, given=steps[-1].heads).reference - alone.reference
    assert float(found.mean()) == pytest.approx(steps[-1].joint, abs=1e-5)


def test_heads_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="L7.H0 is not a head of this model"):
        pinpoint.locate(tiny("llama-gqa"), None, checks.pairs(), given=[Head(7, 0)])


REDUNDANT = [Head(2, 1), Head(2, 4)]


def _with_redundant_heads(pairs: list[pinpoint.ContrastPair], acting: Sequence[Head]) -> PreTrainedModel:
    """A model of four heads: of two, each makes up for the other; those of `acting` act each for itself.

    The first two write along one direction, and the norm after attention leaves of what they write the sign alone: it
    is positive unless both take their counterfactual outputs.
    """
    model = tiny("olmo2")
    view = headed(model)
    width = view.head_dim
    for head in set(view.heads()) - set(acting):
        view.out_proj(head.layer).weight.data[:, head.head * width : (head.head + 1) * width] = 0
    unembedding = model.get_output_embeddings().weight.data
    direction = unembedding[[5, 6]].mean(0) - unembedding[7]
    written = torch.tensor([3.0] * len(pairs) + [-1.0] * len(pairs))
    z = []
    for prompt in [pair.reference for pair in pairs] + [pair.counterfactual for pair in pairs]:
        with captured_heads(view) as seen, torch.no_grad():
            model(torch.tensor([prompt]))
        z.append(seen[2][0, -1].unflatten(0, (view.n_heads, width)))
    for head in REDUNDANT:
        reader = torch.linalg.lstsq(torch.stack(z)[:, head.head], written[:, None]).solution[:, 0]
        columns = slice(head.head * width, (head.head + 1) * width)
        view.out_proj(2).weight.data[:, columns] = direction[:, None] * reader
    return model


def test_heads_that_make_up_for_one_another_are_found_by_cutting_a_set_down() -> None:
    pairs = checks.pairs()
    for acting in combinations([Head(layer, head) for layer in (1, 0) for head in range(6)], 2):
        model = _with_redundant_heads(pairs, acting)
        alone = pinpoint.locate(model, None, pairs)
        if all(alone.mean[head] < -0.05 for head in acting):
            break
    assert set(alone.top(2)) == set(acting), "a random model has two heads that act so"
    assert all(-1e-2 < alone.mean[head] < 0 for head in REDUNDANT), "each of them hides behind the other"
    assert set(pinpoint.greedy_set(model, None, pairs, 2)[-1].heads) == set(acting)
    found = pinpoint.find_set(model, None, pairs, 2, others=pairs[:2])
    assert found.search == "backward" and set(found.heads) == set(REDUNDANT)
    assert found.chosen_on < found.forward[-1].joint - 1
    assert found.joint == pinpoint.joint_effect(model, None, pairs[:2], found.heads)
    assert found.joint is not None and found.joint.effect < -1 and -1e-2 < found.joint.alone < 0


@pytest.mark.parametrize("engine", ["sweep", "naive"])
def test_a_joint_effect_is_that_of_the_set_given(engine: str) -> None:
    model, pairs = tiny("qwen3"), checks.alike()
    alone = pinpoint.locate(model, None, pairs)
    beyond = pinpoint.locate(model, None, pairs, given=GIVEN).reference - alone.reference
    found = pinpoint.joint_effect(model, None, pairs, GIVEN, engine=engine)
    assert found.effect == pytest.approx(float(beyond.mean()), abs=1e-5) and found.pairs == 3
    assert found.standard_error == pytest.approx(float(beyond.std()) / 3**0.5, abs=1e-5)
    assert found.alone == pytest.approx(sum(float(alone.mean[head]) for head in GIVEN), abs=1e-5)


def test_a_head_that_is_given_twice_counts_once() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    assert pinpoint.joint_effect(model, None, pairs, [*GIVEN, *GIVEN]) == pinpoint.joint_effect(
        model, None, pairs, GIVEN
    )


def test_one_pair_has_an_effect_and_no_error() -> None:
    found = pinpoint.joint_effect(tiny("llama-gqa"), None, checks.pairs()[:1], GIVEN)
    assert found.standard_error is None and found.pairs == 1 and found.effect != 0


def test_a_set_is_cut_down_from_twice_as_many_and_the_stronger_of_both_is_kept() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    found = pinpoint.find_set(model, None, pairs, 3)
    assert found.joint is None and found.forward == pinpoint.greedy_set(model, None, pairs, 3)
    strongest = set(pinpoint.locate(model, None, pairs).top(6))
    assert [len(step.heads) for step in found.backward[:3]] == [5, 4, 3]
    for step in found.backward:
        assert not step.added and step.head in strongest and step.head not in step.heads
        strongest.remove(step.head)
        assert strongest == set(step.heads)
        assert step.joint == pytest.approx(pinpoint.joint_effect(model, None, pairs, step.heads).effect, abs=1e-5)
    ends = {"forward": found.forward[-1], "backward": found.backward[-1]}
    assert found.chosen_on == min(step.joint for step in ends.values()) == ends[found.search].joint
    assert found.heads == ends[found.search].heads


def test_cutting_down_asks_for_no_rows_of_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    score = sys.modules["pinpoint.locate._sets"].score_heads

    def counted(*args: Any) -> Any:
        swept.append(args)
        return score(*args)

    monkeypatch.setattr(sys.modules["pinpoint.locate._sets"], "score_heads", counted)
    found = pinpoint.find_set(tiny("llama-gqa"), None, checks.pairs(), 3)
    # One sweep for the heads alone, and one for each step of growing.
    assert len(swept) == 1 + len(found.forward)


def test_sets_are_searched_on_prompts_of_text(tokenizer: PreTrainedTokenizerBase) -> None:
    model = tiny("llama-gqa", vocab_size=len(tokenizer))
    pairs = [pinpoint.ContrastPair(f"Copy: {word}.", "Copy: milk.", "Yes", "Sorry") for word in ("horse", "bread")]
    best = pinpoint.locate(model, tokenizer, pairs).top(1)
    assert pinpoint.greedy_set(model, tokenizer, pairs, 1).heads == tuple(best)
    found = pinpoint.find_set(model, tokenizer, pairs, 1)
    assert found.chosen_on == pytest.approx(pinpoint.joint_effect(model, tokenizer, pairs, found.heads).effect)
