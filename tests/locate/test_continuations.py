"""Metrics of whole continuations: the sweep gives what a forward pass per head gives, on every token of them."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.data import ContrastPair, continuations, encode_pair
from pinpoint.errors import InputError, PinpointWarning
from pinpoint.heads import Head
from pinpoint.models import headed
from tests.families import FAMILIES, tiny
from tests.models import checks

# Grouped keys, soft caps and sandwich norms, windows, parallel blocks, learned positions, routed MLPs, state space.
FEW = ("llama-gqa", "gemma2", "mistral", "gpt-neox", "gpt2", "bloom", "mixtral", "jamba")
# Several on a side, of unlike lengths, that begin alike; together with a prompt longer than the windows of 8.
UNWANTED, WANTED = [[5, 6, 9, 11], [8, 3]], [[5, 6, 12, 13, 14]]
METRICS = ("logprob_diff", "mean_logprob_diff")


def continued(pairs: list[ContrastPair]) -> list[ContrastPair]:
    return [dataclasses.replace(pair, unwanted=UNWANTED, wanted=WANTED) for pair in pairs]


def difference(family: str, *metrics: str, **asked: Any) -> float:
    """The largest over prompts that differ from the start and prompts that begin alike; a metric for each, or one."""
    model = tiny(family)
    found = []
    for pairs, metric in zip((continued(checks.pairs()), continued(checks.alike())), itertools.cycle(metrics)):
        exact = pinpoint.locate(model, None, pairs, metric=metric, engine="naive", **asked)
        fast = pinpoint.locate(model, None, pairs, metric=metric, **asked)
        assert exact.effects.abs().max() > 1e-2, "the heads must matter for this to mean anything"
        assert checks.relative(fast.reference, exact.reference) < 1e-4
        found.append(checks.relative(fast.effects, exact.effects))
    return max(found)


@pytest.mark.parametrize("family", FEW)
def test_the_sweep_equals_a_forward_pass_per_head(family: str) -> None:
    assert difference(family, "logprob_diff") < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_sweep_equals_a_forward_pass_per_head_on_every_architecture(family: str) -> None:
    assert difference(family, *METRICS) < 1e-4


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), lengths=st.tuples(*[st.integers(1, 6)] * 3), metric=st.sampled_from(METRICS))
def test_sweep_equals_naive_on_random_continuations(seed: int, lengths: tuple[int, ...], metric: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    one, two, three = (
        [begin, *torch.randint(3, checks.VOCAB, (length - 1,), generator=generator).tolist()]
        for begin, length in zip((5, 6, 7), lengths, strict=True)
    )
    model = tiny("qwen3", seed)
    pairs = [dataclasses.replace(pair, unwanted=[one, two], wanted=[three]) for pair in checks.alike(seed)]
    exact = pinpoint.locate(model, None, pairs, metric=metric, engine="naive")
    assert checks.relative(pinpoint.locate(model, None, pairs, metric=metric).effects, exact.effects) < 1e-4


@torch.no_grad()
def answers_by_hand(model: Any, pair: ContrastPair, head: Head | None) -> float:
    """Log of the summed probabilities of unwanted answers over wanted ones; one unpadded pass for each answer.

    Every out projection is given its input of a plain pass on the reference; `head`, that on the counterfactual
    wherever a token of the answer comes next.
    """
    view = headed(model)
    totals = []
    for side in (pair.unwanted, pair.wanted):
        scores = []
        for answer in side:
            ours, theirs = (torch.tensor([[*prompt, *answer]]) for prompt in (pair.reference, pair.counterfactual))
            kept = [_inputs_of_out_projections(model, ids) for ids in (ours, theirs)]
            handles = []
            for layer, projection in view.out_projs().items():
                supplied = kept[0][layer].clone()
                if head is not None and layer == head.layer:
                    columns = slice(head.head * view.head_dim, (head.head + 1) * view.head_dim)
                    for token in range(1, len(answer) + 1):
                        supplied[0, -token - 1, columns] = kept[1][layer][0, -token - 1, columns]
                handles.append(projection.register_forward_pre_hook(lambda _module, _args, z=supplied: (z,)))
            logits = model(ours, use_cache=False).logits[0].float()
            for handle in handles:
                handle.remove()
            start = len(pair.reference) - 1
            every = logits.log_softmax(dim=-1)[start : start + len(answer)]
            scores.append(sum(every[i, token] for i, token in enumerate(answer)))
        totals.append(torch.stack(scores).logsumexp(dim=0))
    return float(totals[0] - totals[1])


def _inputs_of_out_projections(model: Any, ids: torch.Tensor) -> dict[int, torch.Tensor]:
    seen: dict[int, torch.Tensor] = {}
    handles = [
        projection.register_forward_pre_hook(lambda _module, args, layer=layer: seen.update({layer: args[0].clone()}))
        for layer, projection in headed(model).out_projs().items()
    ]
    model(ids, use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("family", ["llama-gqa", "gemma3", "falcon-40b", "opt"])
def test_effects_are_those_of_hooked_passes_that_share_no_code(family: str) -> None:
    model, pairs = tiny(family), continued(checks.alike())
    found = pinpoint.locate(model, None, pairs, metric="logprob_diff")
    largest = float(found.effects.abs().max())
    for i, pair in enumerate(pairs):
        plain = answers_by_hand(model, pair, None)
        assert float(found.reference[i]) == pytest.approx(plain, rel=1e-4)
        for head in (Head(0, 2), Head(1, 5), Head(2, 0)):
            expected = answers_by_hand(model, pair, head) - plain
            assert float(found.effects[i, head.layer, head.head]) == pytest.approx(expected, abs=1e-4 * largest)


@torch.no_grad()
def test_the_reference_is_the_log_probability_that_the_unhooked_model_gives() -> None:
    model, pair = tiny("qwen2"), dataclasses.replace(checks.pairs()[0], unwanted=[[5, 6, 9]], wanted=[[7, 8]])

    def scored(answer: list[int]) -> torch.Tensor:
        every = model(torch.tensor([[*pair.reference, *answer]])).logits[0].log_softmax(dim=-1)
        return torch.stack([every[len(pair.reference) - 1 + i, token] for i, token in enumerate(answer)])

    total = pinpoint.locate(model, None, [pair], metric="logprob_diff").reference.item()
    assert total == pytest.approx(float(scored([5, 6, 9]).sum() - scored([7, 8]).sum()), rel=1e-4)
    mean = pinpoint.locate(model, None, [pair], metric="mean_logprob_diff").reference.item()
    assert mean == pytest.approx(float(scored([5, 6, 9]).mean() - scored([7, 8]).mean()), rel=1e-4)


@pytest.mark.parametrize("family", ["llama-gqa", "mixtral"])
def test_of_a_single_token_a_continuation_is_what_the_next_token_is(family: str) -> None:
    model, pairs = tiny(family), checks.alike()
    whole = pinpoint.locate(model, None, pairs, metric="logprob_diff")
    first = pinpoint.locate(model, None, pairs, metric="log_odds")
    assert checks.relative(whole.effects, first.effects) < 1e-4
    one = [dataclasses.replace(pair, unwanted=[[5]], wanted=7) for pair in pairs]
    for metric in METRICS:
        whole = pinpoint.locate(model, None, one, metric=metric)
        assert checks.relative(whole.effects, pinpoint.locate(model, None, one).effects) < 1e-4


def test_a_head_matters_after_the_first_token_too() -> None:
    model = tiny("llama-gqa")
    alike = [dataclasses.replace(pair, unwanted=[[5, 6, 9]], wanted=[[5, 6, 12]]) for pair in checks.alike()]
    whole = pinpoint.locate(model, None, alike, metric="logprob_diff").effects
    # The answers part at their third token: what comes before it weighs the same on both sides.
    after = [
        ContrastPair([*pair.reference, 5, 6], [*pair.counterfactual, 5, 6], unwanted=9, wanted=12) for pair in alike
    ]
    assert checks.relative(whole, pinpoint.locate(model, None, after).effects) < 1e-4


@pytest.mark.parametrize("rows_per_chunk", [1, 40, 4096])
@pytest.mark.parametrize("family", ["llama-gqa", "phi3", "bloom"])
def test_patching_the_reference_into_itself_is_exactly_zero(family: str, rows_per_chunk: int) -> None:
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in continued(checks.pairs())]
    with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
        scores = pinpoint.locate_nodes(tiny(family), None, same, metric="logprob_diff", rows_per_chunk=rows_per_chunk)
    assert torch.equal(scores.effects, torch.zeros_like(scores.effects))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("batch_size", "rows_per_chunk"), [(1, 4096), (24, 8), (64, 1), (64, 300)])
def test_batching_chunking_and_padding_do_not_change_a_score(side: str, batch_size: int, rows_per_chunk: int) -> None:
    model = tiny("gemma2")
    for some in (continued(checks.pairs()), continued(checks.alike())):
        plain = pinpoint.locate(model, None, some, metric="logprob_diff")
        asked = {"batch_size": batch_size, "rows_per_chunk": rows_per_chunk, "padding_side": side}
        other = pinpoint.locate(model, None, some, metric="logprob_diff", **asked)
        assert checks.relative(other.effects, plain.effects) < 1e-4


@pytest.mark.parametrize("family", ["llama-gqa", "falcon-40b", "granite-moe-shared"])
def test_other_nodes_and_given_heads_are_exact_too(family: str) -> None:
    model, pairs, heads = tiny(family), continued(checks.alike()), [Head(0, 2), Head(2, 1)]
    for asked in ({}, {"given": heads}):
        exact = pinpoint.locate_nodes(model, None, pairs, metric="logprob_diff", engine="naive", **asked)
        fast = pinpoint.locate_nodes(model, None, pairs, metric="logprob_diff", **asked)
        assert checks.relative(fast.effects, exact.effects) < 1e-4
        assert checks.relative(fast.reference, exact.reference) < 1e-4


def test_scores_of_a_batch_are_kept_by_what_was_measured(tmp_path: Path) -> None:
    model, pairs, space = tiny("llama-gqa"), continued(checks.alike()), Workspace(tmp_path)
    shorter = [dataclasses.replace(pair, wanted=[[7]]) for pair in pairs]
    found = [
        pinpoint.locate(model, None, some, metric=metric, workspace=space).effects
        for some, metric in ((pairs, METRICS[0]), (pairs, METRICS[1]), (shorter, METRICS[0]))
    ]
    assert not torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    again = pinpoint.locate(tiny("qwen2"), None, pairs, metric=METRICS[0], workspace=space).effects
    assert torch.equal(again, found[0]), "read from the workspace, whatever the model"


def test_strings_are_measured_to_their_ends(tokenizer: PreTrainedTokenizerBase) -> None:
    pair = ContrastPair([3], [4], unwanted="I apologize for the mistake", wanted=["I am sure.", "Yes"])
    encoded = encode_pair(tokenizer, pair, continued=True)
    assert (encoded.unwanted, encoded.wanted) == ([0], [1, 2])
    assert [tokenizer.decode(ids).strip() for ids in encoded.continuations] == [pair.unwanted, *pair.wanted]
    assert continuations(None, [5, 6]) == [[5], [6]], "a flat list is several answers of a token each"
    assert continuations(None, [[5, 6], [5, 6]]) == [[5, 6]]


@pytest.mark.parametrize(
    ("unwanted", "wanted"), [([[5, 6]], [[5, 6, 7]]), ([[5, 6]], [[5, 6]]), ([[5], [5, 8]], [[7]]), (5, [[5, 6]])]
)
def test_answers_of_which_one_goes_on_from_another_are_refused(unwanted: Any, wanted: Any) -> None:
    with pytest.raises(InputError, match=r"one begins with the whole of another. Choose answers that part before"):
        encode_pair(None, ContrastPair([3], [4], unwanted, wanted), continued=True)


def test_answers_that_begin_alike_are_sent_to_this_metric() -> None:
    with pytest.raises(InputError, match=r"share a first token.*or measure them whole: metric logprob_diff"):
        pinpoint.locate(tiny("llama-gqa"), None, continued(checks.pairs()))


def test_what_cannot_be_measured_is_refused() -> None:
    model = tiny("llama-gqa")
    long = ContrastPair([1] * 60, [2] * 10, [[5] * 6], [[7]])
    with pytest.raises(InputError, match=r"pair 0: a prompt with its continuation has 65 tokens, the model reads 64"):
        pinpoint.locate(model, None, [long], metric="logprob_diff")
    with pytest.raises(InputError, match=r"the answer \[\] has no tokens"):
        pinpoint.locate(model, None, [ContrastPair([3], [4], [[]], 5)], metric="logprob_diff")
