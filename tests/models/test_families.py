"""Every known architecture: engine and oracle agree, the model is left alone, and the slices are the heads'."""

import dataclasses

import pytest
import torch

import pinpoint
from pinpoint.errors import PinpointWarning
from pinpoint.models import Projections, headed, known_types, model_class
from pinpoint.models._spec import HeadedModel
from pinpoint.tune import default_projections
from tests.families import FAMILIES, built, config_of, each, has_experts, tiny
from tests.models import checks

MOE = [family for family in FAMILIES if has_experts(family)]
LONGER = config_of("phi3-longrope").rope_parameters | {"long_factor": [1.0] * 4}
# Settings that, switched off, leave a model with the same weights but other scores: an engine that
# passed over the feature would give those instead.
FEATURES = {
    "a soft cap on the logits": ("gemma2", {"final_logit_softcapping": None}),
    "a soft cap on attention": ("gemma2", {"attn_logit_softcapping": None}),
    "a sliding window": ("mistral", {"sliding_window": None}),
    "a sliding window beside full attention": ("gemma3", {"sliding_window": 64}),
    "local attention": ("gpt-neo", {"window_size": 64}),
    "chunked attention": ("llama4", {"attention_chunk_size": 64}),
    "rotary frequencies chosen by length": ("phi3-longrope", {"rope_parameters": LONGER}),
    "a logit scale": ("cohere", {"logit_scale": 1.0}),
    "a divided logit": ("granite", {"logits_scaling": 1.0}),
    "a scaled residual": ("granite", {"residual_multiplier": 1.0}),
    "a residual scaled by the depth": ("minicpm3", {"scale_depth": 3**0.5}),
    "a scaled attention score": ("granite", {"attention_multiplier": 1.0}),
    "a parallel block": ("gpt-neox", {"use_parallel_residual": False}),
    "the residual after the norm": ("bloom-post-norm", {"apply_residual_connection_post_layernorm": False}),
    "clipped projections": ("olmo", {"clip_qkv": None}),
    "an attention scale that grows with the position": ("ministral3", {"rope_parameters": None}),
    "a soft cap after norms without weights": ("nanochat", {"final_logit_softcapping": None}),
    "a rotary base for each layer": ("granite-swa", {"layer_rope_theta": [1e4, 1e4, 1e4]}),
    "few positions, chosen by an indexer": ("deepseek-v3.2", {"index_topk": 64}),
    "a residual that is scaled beside attention": ("minimax", {"full_attn_alpha_factor": 1.0}),
    "a scaled sum of experts": ("hy3", {"router_scaling_factor": 1.0}),
    "no rotary positions in some layers": ("smollm3", {"no_rope_layers": [1, 1, 1]}),
}


@pytest.mark.parametrize("family", each(FAMILIES))
def test_the_sweep_equals_a_forward_pass_per_head(family: str) -> None:
    assert checks.locate_difference(tiny(family)) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_in_bfloat16_scores_stay_near_those_in_float32(family: str) -> None:
    assert checks.bfloat16_difference(tiny(family)) < checks.BFLOAT16_OF.get(family, checks.BFLOAT16)


@pytest.mark.slow
@pytest.mark.parametrize("family", MOE)
def test_in_bfloat16_experts_are_those_of_brute_force(family: str) -> None:
    # Models without experts keep their rows wider than brute force does: tests/locate/test_half_precision.py.
    model = tiny(family).to(torch.bfloat16)
    exact = pinpoint.locate(model, None, checks.pairs(), engine="naive")
    fast = pinpoint.locate(model, None, checks.pairs())
    # An effect is a difference of two logits, each of 8 bits: half a step either way on both sides.
    step = 2**-7 * max(1.0, float(exact.reference.abs().max()))
    assert (fast.effects - exact.effects).abs().max() <= step < exact.effects.abs().max()


@pytest.mark.parametrize("family", each(FAMILIES))
def test_reference_metric_is_that_of_the_unhooked_model(family: str) -> None:
    assert checks.reference_difference(tiny(family)) < 1e-4


@pytest.mark.parametrize("family", each(FAMILIES))
def test_all_logits_of_the_pass_under_the_hooks_are_those_of_the_unhooked_model(family: str) -> None:
    hooked, plain = checks.logits_under_the_hooks(tiny(family))
    assert torch.equal(hooked, plain)


@pytest.mark.parametrize("family", each(FAMILIES))
def test_padding_batching_and_chunking_do_not_change_a_score(family: str) -> None:
    assert checks.padding_difference(tiny(family)) < 1e-4


@pytest.mark.parametrize("family", each(FAMILIES))
def test_patching_the_reference_into_itself_is_exactly_zero(family: str) -> None:
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in checks.pairs()]
    with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
        scores = pinpoint.locate(tiny(family), None, same)
    assert torch.equal(scores.effects, torch.zeros_like(scores.effects))


@pytest.mark.parametrize("family", each(FAMILIES))
def test_a_zero_knockout_is_zeroed_columns_of_the_out_projection(family: str) -> None:
    assert checks.knockout_difference(tiny(family)) < 1e-5


# They normalise queries and keys across all heads: a head's weights are its own, what they do is not.
JOINT_NORMS = ("flex-olmo", "minimax-m2", "olmo-hybrid", "olmo2", "olmo3", "olmoe")


@pytest.mark.parametrize("family", each(FAMILIES))
def test_the_rows_of_a_head_move_that_head_alone(family: str) -> None:
    model = tiny(family)
    view = headed(model)
    per_group = view.n_heads // view.n_kv_heads
    layer = view.attention_layers[-1]
    joint = family in JOINT_NORMS
    for unit in range(view.n_heads):
        moved = checks.heads_moved_by(model, layer, "q", unit)
        assert len(moved) == view.n_heads if joint else moved == {unit}
    for which in "v" if joint else "kv":
        for unit in range(view.n_kv_heads):
            expected = set(range(unit * per_group, (unit + 1) * per_group))
            assert checks.heads_moved_by(model, layer, which, unit) == expected


@pytest.mark.parametrize("family", each(FAMILIES))
def test_the_rows_of_all_heads_are_disjoint(family: str) -> None:
    view = headed(tiny(family))
    taken: dict[str, list[int]] = {}
    for which, units in (("q", view.n_heads), ("k", view.n_kv_heads), ("v", view.n_kv_heads), ("o", view.n_heads)):
        for unit in range(units):
            name, rows = view.projection_slice(view.attention_layers[0], which, unit)
            taken.setdefault(name, []).extend(rows)
    assert all(len(rows) == len(set(rows)) for rows in taken.values())


@pytest.mark.parametrize("projections", ["default", "q,k,v,o"])
@pytest.mark.parametrize("family", each(FAMILIES))
def test_tuning_moves_the_slices_alone_and_the_merge_equals_the_adapter(family: str, projections: str) -> None:
    model = tiny(family)
    which = default_projections(headed(model)) if projections == "default" else projections
    assert checks.tune_difference(model, which) < 1e-5


@pytest.mark.parametrize("family", each(MOE))
def test_sweep_and_oracle_send_tokens_to_the_same_experts(family: str) -> None:
    model, pair = tiny(family), checks.pairs()[:1]
    view = headed(model)
    with checks.seen_experts(model) as fast:
        pinpoint.locate(model, None, pair)
    with checks.seen_experts(model) as slow:
        pinpoint.locate(model, None, pair, engine="naive")
    assert fast, "no experts seen"
    assert view.routers.keys() == fast.keys()
    for (layer, name), calls in fast.items():
        rows = calls[-1]  # the reference, then every head up to this layer
        assert len(rows) == 1 + sum(head.layer <= layer for head in view.heads())
        # Brute force: both prompts, the reference, then one pass per head; the last position is measured.
        patched = [call[len(pair[0].reference) - 1] for call in slow[layer, name][1:]]
        assert torch.equal(rows, torch.stack(patched[: len(rows)]))


@pytest.mark.parametrize("feature", FEATURES)
def test_the_features_of_the_tiny_models_bite(feature: str) -> None:
    family, off = FEATURES[feature]
    with_it, without = tiny(family), tiny(family, **off)
    assert all(torch.equal(a, b) for a, b in zip(with_it.parameters(), without.parameters(), strict=True))
    there = pinpoint.locate(with_it, None, checks.pairs()).effects
    gone = pinpoint.locate(without, None, checks.pairs()).effects
    assert checks.relative(gone, there) > 1e-2


@pytest.mark.parametrize("family", ["qwen3.5", "qwen3-next"])
def test_the_gate_of_a_head_is_tuned_with_its_query(family: str) -> None:
    model = tiny(family)
    view = headed(model)
    layer = view.attention_layers[0]
    name, rows = view.projection_slice(layer, "q", 2)
    assert len(rows) == 2 * view.head_dim
    broken = HeadedModel(model, dataclasses.replace(view.layout, projections=lambda _config: Projections()))
    _, half = broken.projection_slice(layer, "q", 3)
    # Heads of queries alone would be halves of the heads before them.
    assert set(half) < set(view.projection_slice(layer, "q", 1)[1])


@pytest.mark.parametrize("family", ["bailing-hybrid", "kimi-linear", "lfm3", "minimax", "olmo-hybrid", "qwen3.5"])
def test_heads_are_those_of_the_blocks_with_attention(family: str) -> None:
    with torch.device("meta"):
        view = headed(built(config_of(family)))
    assert view.attention_layers == [i for i, kind in enumerate(view.config.layer_types) if kind == "full_attention"]


@pytest.mark.parametrize(("family", "text"), [("llama4-vision", "llama4_text"), ("qwen3.5-vision", "qwen3_5_text")])
def test_wrappers_that_load_as_their_text_decoder_are_known_by_its_type(family: str, text: str) -> None:
    config = config_of(family)
    model = model_class(config).from_config(config).eval()
    assert model.config.model_type == text
    assert checks.reference_difference(model) < 1e-4


def test_every_known_architecture_is_tested() -> None:
    assert {model_type for model_type, _ in FAMILIES.values()} == set(known_types())
