"""Prompts with little in common: where they are many, counterfactuals run before the references, to the same scores."""

import sys

import pytest

import pinpoint
from bench._shapes import Shape, make_model, make_pairs
from pinpoint.heads import Head
from pinpoint.models import headed
from tests.families import FAMILIES, tiny
from tests.locate.test_continuations import continued
from tests.models import checks

# Grouped keys, parallel blocks, an MLP that adds the residual itself, routed MLPs, a hybrid, which never shares.
FEW = ("llama-gqa", "falcon-40b", "bloom", "mixtral", "jamba")
SWEEP = "pinpoint.locate._sweep"


def differences(family: str, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    model, found = tiny(family), []
    layer = headed(model).attention_layers[0]
    for many in (1 << 20, 1):
        monkeypatch.setattr(sys.modules[SWEEP], "_MANY", many)
        nodes = pinpoint.locate_nodes(model, None, checks.pairs())
        given = pinpoint.locate(model, None, checks.pairs(), given=[Head(layer, 0), Head(layer, 1)])
        answers = pinpoint.locate(model, None, continued(checks.pairs()), metric="logprob_diff")
        found.append((nodes, given, answers))
    together, apart = found
    assert [(one.routing and one.routing.others) for one in together] == [
        (one.routing and one.routing.others) for one in apart
    ]
    return [checks.relative(left.effects, right.effects) for left, right in zip(apart, together, strict=True)]


@pytest.mark.parametrize("family", FEW)
def test_scores_are_those_of_one_pass_over_both(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(differences(family, monkeypatch)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FEW])
def test_scores_are_those_of_one_pass_over_both_on_every_other_architecture(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(differences(family, monkeypatch)) < 1e-4


@pytest.mark.parametrize(("pairs", "rows"), [(16, [16, 16]), (15, [30])])
def test_many_tokens_take_two_passes_and_few_take_one(pairs: int, rows: list[int]) -> None:
    shape = Shape(layers=2, heads=2, groups=1, d_head=8, inner=16, vocabulary=64, pairs=pairs, shared=0, after=64)
    model, seen = make_model(shape), list[int]()
    with model.model.register_forward_pre_hook(
        lambda _module, _args, more: seen.append(len(more["input_ids"])), with_kwargs=True
    ):
        pinpoint.locate(model, None, make_pairs(shape))
    assert seen == rows
