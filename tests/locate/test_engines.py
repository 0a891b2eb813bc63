"""The sweep gives what a full forward pass per head gives."""

import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pinpoint
from pinpoint.data import EncodedPair
from pinpoint.errors import ArchitectureError, ConfigError, InputError, PinpointWarning
from pinpoint.locate._ask import Ask
from pinpoint.locate._locate import _warn_if_empty
from tests.families import PLAIN, tiny

VOCAB = 97


def pairs(seed: int, count: int = 3, shortest: int = 4, longest: int = 14) -> list[pinpoint.ContrastPair]:
    generator = torch.Generator().manual_seed(seed)

    def prompt() -> list[int]:
        length = int(torch.randint(shortest, longest + 1, (1,), generator=generator))
        return torch.randint(1, VOCAB, (length,), generator=generator).tolist()

    return [
        pinpoint.ContrastPair(reference=prompt(), counterfactual=prompt(), unwanted=[5, 6], wanted=[7])
        for _ in range(count)
    ]


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize("metric", ["logit_diff", "log_odds", "paper_share"])
@pytest.mark.parametrize("family", PLAIN)
def test_sweep_equals_a_forward_pass_per_head(family: str, metric: str) -> None:
    model = tiny(family)
    exact = pinpoint.locate(model, None, pairs(1), metric=metric, engine="naive")
    fast = pinpoint.locate(model, None, pairs(1), metric=metric, engine="sweep")
    assert exact.effects.abs().max() > 1e-2, "the heads must matter for this test to mean anything"
    assert relative(fast.effects, exact.effects) < 1e-4
    assert relative(fast.reference, exact.reference) < 1e-4


def test_reference_metric_is_that_of_the_unhooked_model() -> None:
    model, some = tiny("llama-gqa"), pairs(2, count=1)
    scores = pinpoint.locate(model, None, some)
    logits = model(torch.tensor([some[0].reference])).logits[0, -1]
    assert scores.reference.item() == pytest.approx((logits[[5, 6]].mean() - logits[7]).item(), rel=1e-5)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), family=st.sampled_from(sorted(PLAIN)), count=st.integers(1, 4))
def test_sweep_equals_naive_on_random_pairs(seed: int, family: str, count: int) -> None:
    model, some = tiny(family, seed), pairs(seed, count)
    exact = pinpoint.locate(model, None, some, engine="naive")
    assert relative(pinpoint.locate(model, None, some).effects, exact.effects) < 1e-4


@pytest.mark.parametrize("rows_per_chunk", [1, 7, 64, 4096])
@pytest.mark.parametrize("family", PLAIN)
def test_patching_the_reference_into_itself_is_exactly_zero(family: str, rows_per_chunk: int) -> None:
    some = [
        pinpoint.ContrastPair(pair.reference, pair.reference, pair.unwanted, pair.wanted) for pair in pairs(3, count=5)
    ]
    with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
        scores = pinpoint.locate(tiny(family), None, some, rows_per_chunk=rows_per_chunk)
    assert torch.equal(scores.effects, torch.zeros_like(scores.effects))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("batch_size", "rows_per_chunk"), [(1, 4096), (2, 8), (7, 1), (7, 30)])
def test_batching_chunking_and_padding_do_not_change_a_score(side: str, batch_size: int, rows_per_chunk: int) -> None:
    model, some = tiny("llama-gqa"), pairs(4, count=7)
    plain = pinpoint.locate(model, None, some, batch_size=7)
    other = pinpoint.locate(model, None, some, batch_size=batch_size, rows_per_chunk=rows_per_chunk, padding_side=side)
    assert relative(other.effects, plain.effects) < 1e-5


def test_a_model_is_left_as_it_was() -> None:
    model = tiny("llama-gqa").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pinpoint.locate(model, None, pairs(5))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_error_inside_a_sweep_leaves_no_hook_behind() -> None:
    model = tiny("llama-gqa")
    attention = model.model.layers[1].self_attn
    attention.o_proj.forward = None
    with pytest.raises(TypeError):
        pinpoint.locate(model, None, pairs(5))
    del attention.o_proj.forward
    assert model.model.layers[1].self_attn is attention
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_unknown_metric_engine_and_architecture_are_named() -> None:
    model = tiny("llama-gqa")
    with pytest.raises(ConfigError, match=r"metric 'logits' is unknown.*logit_diff, log_odds, paper_share"):
        pinpoint.locate(model, None, pairs(1), metric="logits")
    with pytest.raises(ConfigError, match=r"engine 'fast' is unknown.*sweep, naive"):
        pinpoint.locate(model, None, pairs(1), engine="fast")
    model.config.model_type = "mamba"
    with pytest.raises(
        ArchitectureError,
        match=r"model_type 'mamba'; known are .*apertus, .*llama, .*models.register",
    ):
        pinpoint.locate(model, None, pairs(1))


def test_a_prompt_longer_than_the_model_reads_is_never_cut() -> None:
    long = pinpoint.ContrastPair([1] * 65, [2] * 10, 5, 7)
    with pytest.raises(InputError, match=r"pair 1: a prompt has 65 tokens, the model reads 64"):
        pinpoint.locate(tiny("llama-gqa"), None, [*pairs(1, count=1), long])


def test_no_pairs_are_an_error() -> None:
    with pytest.raises(InputError, match="there are no contrast pairs"):
        pinpoint.locate(tiny("llama-gqa"), None, [])


def test_weights_that_hold_nan_are_an_error() -> None:
    model = tiny("llama-gqa")
    model.lm_head.weight.data[5] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        pinpoint.locate(model, None, pairs(1))


def test_the_pair_whose_score_is_not_finite_is_named() -> None:
    model = tiny("llama-gqa")
    model.get_input_embeddings().weight.data[90] = float("nan")
    some = [pinpoint.ContrastPair([3, 4, 5 + (85 if i == 2 else 0)], [6, 7, 8], 5, 7) for i in range(4)]
    with pytest.raises(InputError, match=r"^pair 2: a score is not finite"):
        pinpoint.locate(model, None, some)


@pytest.mark.parametrize("most", [0.9e-3, 1.1e-3])
def test_scores_of_a_contrast_that_moves_next_to_nothing_are_told_of(most: float) -> None:
    encoded = [EncodedPair([3], [4], [5], [7])]
    with warnings.catch_warnings(record=True) as told:
        _warn_if_empty(torch.tensor([[0.0, -most]]), Ask(), encoded)
    said = "no head moves logit_diff by 0.001: the contrast looks empty."
    assert [str(one.message) for one in told] == ([said] if most < 1e-3 else [])


def test_top_heads_are_the_most_negative_in_order() -> None:
    scores = pinpoint.locate(tiny("llama-gqa"), None, pairs(6))
    flat = scores.mean.flatten().sort().values
    assert [scores.mean[head.layer, head.head].item() for head in scores.top(4)] == flat[:4].tolist()
    assert scores.standard_error.shape == scores.mean.shape
