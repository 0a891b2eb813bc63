"""Activation and attribution patching measured on whole answers, held to hooked passes that share no code with them."""

import dataclasses
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.data import ContrastPair
from pinpoint.errors import PinpointWarning
from pinpoint.heads import Head
from pinpoint.models import headed
from tests.families import FAMILIES, tiny
from tests.locate.test_activation import FEW, KINKED, PAIRS, counted_from_the_end, outputs
from tests.locate.test_continuations import METRICS, continued
from tests.models import checks


def of_answers(kind: str) -> list[ContrastPair]:
    """Answers of unlike lengths, several on a side, that begin alike."""
    return continued(PAIRS[kind]())


Outputs = dict[tuple[int, ...], list[torch.Tensor]]


def of_counterfactual(model: Any, pair: ContrastPair) -> Outputs:
    """z of every layer under the counterfactual prompt and each answer."""
    return {tuple(answer): outputs(model, [*pair.counterfactual, *answer]) for answer in [*pair.unwanted, *pair.wanted]}


def scored(
    model: Any, pair: ContrastPair, answer: list[int], head: Head, at: range, z: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Log-probabilities of an answer's tokens in one unpadded, uncached pass, [share token].

    The head's z is moved by each share of the way towards the counterfactual's, at positions `at` of the prompt
    (counted from its end) and wherever a later token of the answer is predicted.
    """
    view, ids = headed(model), torch.tensor([[*pair.reference, *answer]]).repeat(len(shares), 1)
    columns = slice(head.head * view.head_dim, (head.head + 1) * view.head_dim)
    back = [len(answer) + position for position in at] + list(range(2, len(answer) + 1))

    def exchange(_module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        x = args[0].clone()
        for place in back:
            own = x[:, -place, columns].clone()
            x[:, -place, columns] = own + shares.to(own)[:, None] * (z[0, -place, columns] - own)
        return (x,)

    handle = view.out_proj(head.layer).register_forward_pre_hook(exchange)
    try:
        logits = model(ids, use_cache=False).logits
    finally:
        handle.remove()
    start = len(pair.reference) - 1
    every = logits.log_softmax(dim=-1)[:, start : start + len(answer)]
    return every[:, range(len(answer)), answer]


def values(
    model: Any, pair: ContrastPair, metric: str, head: Head, at: range, z: Outputs, shares: list[float]
) -> torch.Tensor:
    """The metric at each share, [share]."""
    sides, moves = [], torch.tensor(shares)
    for side in (pair.unwanted, pair.wanted):
        each = [scored(model, pair, answer, head, at, z[tuple(answer)][head.layer], moves) for answer in side]
        summed = torch.stack([tokens.sum(dim=1) for tokens in each]).logsumexp(dim=0)
        means = torch.stack([tokens.mean(dim=1) for tokens in each]).mean(dim=0)
        sides.append(summed if metric == "logprob_diff" else means)
    return sides[0] - sides[1]


@torch.no_grad()
def over_heads(
    model: PreTrainedModel, pairs: list[ContrastPair], positions: str, metric: str, shares: list[float]
) -> torch.Tensor:
    """The metric of every pair and head at each share, [pair layer head share]."""
    view = headed(model)
    found = torch.zeros(len(pairs), view.n_layers, view.n_heads, len(shares), dtype=torch.float64)
    for i, pair in enumerate(pairs):
        at, z = counted_from_the_end(pair, positions), of_counterfactual(model, pair)
        for head in view.heads():
            found[i, head.layer, head.head] = values(model, pair, metric, head, at, z, shares).double()
    return found


def by_hand(model: PreTrainedModel, pairs: list[ContrastPair], positions: str, metric: str) -> torch.Tensor:
    before, after = over_heads(model, pairs, positions, metric, [0.0, 1.0]).unbind(dim=-1)
    return after - before


def difference(family: str, positions: str, metric: str = "logprob_diff", **options: Any) -> float:
    model, pairs = tiny(family), of_answers(positions)
    exact = by_hand(model, pairs, positions, metric)
    assert exact.abs().max() > 1e-2, "the heads must matter for this to mean anything"
    found = pinpoint.locate(model, None, pairs, method="activation", positions=positions, metric=metric, **options)
    return checks.relative(found.effects, exact)


@pytest.mark.parametrize("positions", ["last", "suffix"])
@pytest.mark.parametrize("family", FEW)
def test_activation_patching_equals_a_hooked_pass_per_head_and_answer(family: str, positions: str) -> None:
    assert difference(family, positions) < 1e-4


@pytest.mark.parametrize(
    ("positions", "options"),
    [
        ("last", {"metric": "mean_logprob_diff"}),
        ("all", {"metric": "mean_logprob_diff"}),
        ("suffix", {"batch_size": 1}),
        ("suffix", {"batch_size": 5}),
        ("suffix", {"engine": "naive"}),
    ],
)
def test_other_metrics_positions_and_rows_at_once_are_exact_too(positions: str, options: dict[str, Any]) -> None:
    assert difference("llama-gqa", positions, **options) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FEW])
def test_activation_patching_equals_a_hooked_pass_on_every_other_architecture(family: str) -> None:
    assert difference(family, "suffix") < 1e-4


def slopes_by_hand(
    model: PreTrainedModel, pairs: list[ContrastPair], positions: str, metric: str, step: float = 0.01
) -> torch.Tensor:
    """The change of the metric as z moves towards the counterfactual's, by central differences of fourth order."""
    shares = [step, 2 * step, -step, -2 * step]
    up, upper, down, lower = over_heads(model, pairs, positions, metric, shares).unbind(dim=-1)
    return (8 * (up - down) - (upper - lower)) / (12 * step)


@pytest.mark.parametrize(
    ("family", "positions", "metric"),
    [
        ("llama-gqa", "last", "logprob_diff"),
        ("gemma2", "suffix", "mean_logprob_diff"),
        ("bloom", "suffix", "logprob_diff"),
        ("falcon-40b", "all", "logprob_diff"),
    ],
)
def test_attribution_is_the_slope_of_activation_patching(family: str, positions: str, metric: str) -> None:
    model, pairs = tiny(family), of_answers(positions)
    asked = {"method": "attribution", "positions": positions, "metric": metric}
    found = pinpoint.locate(model, None, pairs, **asked)
    # Seven tokens of answers a pair: each pair by itself.
    apart = pinpoint.locate(model, None, pairs, batch_size=1, **asked)
    expected = slopes_by_hand(model.double(), pairs, positions, metric)
    assert checks.relative(found.effects, expected) < 1e-3
    assert checks.relative(apart.effects, expected) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_attribution_is_the_slope_on_every_architecture(family: str) -> None:
    model, pairs = tiny(family), of_answers("suffix")
    asked = {"method": "attribution", "positions": "suffix", "metric": "logprob_diff"}
    found = pinpoint.locate(model, None, pairs, **asked)
    if family in KINKED:
        # The smaller the step, the fewer heads it takes across a kink or to another expert; float32 rounds it away.
        model.double().set_experts_implementation("eager")
    # By hand on the shortest pair, which was padded among the others; a median takes them all.
    shortest = min(range(len(pairs)), key=lambda i: len(pairs[i].reference))
    some = list(range(len(pairs))) if family in KINKED else [shortest]
    step = 0.001 if family in KINKED else 0.01
    expected = slopes_by_hand(model, [pairs[i] for i in some], "suffix", "logprob_diff", step)
    apart = (found.effects[some] - expected).abs() / expected.abs().max()
    assert (apart.median() if family in KINKED else apart.max()) < 2e-3


@pytest.mark.parametrize("method", ["activation", "attribution"])
def test_the_reference_is_what_path_patching_measures(method: str) -> None:
    model, pairs = tiny("llama-gqa"), of_answers("suffix")
    found = pinpoint.locate(model, None, pairs, method=method, metric="logprob_diff", positions="suffix")
    direct = pinpoint.locate(model, None, pairs, metric="logprob_diff")
    assert checks.relative(found.reference, direct.reference) < 1e-5


def test_a_head_of_the_last_layer_has_its_direct_effect() -> None:
    model, pairs = tiny("llama-gqa"), of_answers("last")
    total = pinpoint.locate(model, None, pairs, method="activation", metric="logprob_diff").effects
    direct = pinpoint.locate(model, None, pairs, metric="logprob_diff").effects
    assert checks.relative(total[:, -1], direct[:, -1]) < 1e-4
    assert checks.relative(total[:, 0], direct[:, 0]) > 1e-2, "later attention answers, and so do later tokens"


@pytest.mark.parametrize("method", ["activation", "attribution"])
def test_of_a_single_token_an_answer_is_what_the_next_token_is(method: str) -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    whole = pinpoint.locate(model, None, pairs, method=method, metric="logprob_diff")
    first = pinpoint.locate(model, None, pairs, method=method, metric="log_odds")
    assert checks.relative(whole.effects, first.effects) < 1e-4


@pytest.mark.parametrize("method", ["activation", "attribution"])
def test_patching_the_reference_into_itself_is_exactly_zero(method: str) -> None:
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in of_answers("last")]
    with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
        scores = pinpoint.locate(tiny("llama-gqa"), None, same, method=method, metric="logprob_diff")
    assert torch.equal(scores.effects, torch.zeros_like(scores.effects))


def test_the_cache_runs_what_is_patched_alone() -> None:
    model, pair = tiny("llama-gqa"), dataclasses.replace(checks.alike()[0], unwanted=[[5, 6, 9]], wanted=[[7, 8]])
    seen: list[tuple[int, int]] = []
    handle = model.model.layers[0].register_forward_pre_hook(lambda _module, args: seen.append(args[0].shape[:2]))
    pinpoint.locate(model, None, [pair], method="activation", metric="logprob_diff", batch_size=19)
    handle.remove()
    theirs, ours = len(pair.counterfactual), len(pair.reference)
    prepared = [(1, theirs + 2), (1, ours - 1), (1, theirs + 1), (1, ours - 1)]
    assert list(map(tuple, seen)) == [*prepared, (19, 3), (19, 2)]


def test_kept_scores_are_told_apart_by_the_metric(tmp_path: Any) -> None:
    model, pairs, space = tiny("llama-gqa"), of_answers("last"), Workspace(tmp_path)
    found = [
        pinpoint.locate(model, None, pairs, method="activation", metric=metric, workspace=space).effects
        for metric in METRICS
    ]
    assert not torch.allclose(found[0], found[1])
    again = pinpoint.locate(tiny("qwen2"), None, pairs, method="activation", metric=METRICS[0], workspace=space)
    assert torch.equal(again.effects, found[0]), "read from the workspace, whatever the model"
