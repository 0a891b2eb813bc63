"""Activation and attribution patching, held to hooked full passes that share no code with them."""

import dataclasses
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.errors import ConfigError, InputError, PinpointWarning
from pinpoint.heads import HeadScores
from pinpoint.locate import agreement
from pinpoint.models import headed
from tests.families import FAMILIES, tiny
from tests.models import checks
from tests.models.test_families import MOE

# A router's choice, a ReLU and a clip have kinks, and a step of finite width may cross one.
KINKED = (*MOE, "opt", "opt-350m", "olmo")
# Shared keys, sliding windows, positions as a bias on scores, routed MLPs; state space, where no cache is shared.
FEW = ("llama-gqa", "gemma3", "bloom", "mixtral", "jamba")


def equally_long() -> list[pinpoint.ContrastPair]:
    """Pairs of equal length that part at the first token, in the middle, and at the last."""
    ids = torch.randint(3, checks.VOCAB, (3, 2, 12), generator=torch.Generator().manual_seed(4)).tolist()
    made = []
    for (a, b), shared in zip(ids, (0, 7, 11), strict=True):
        made.append(pinpoint.ContrastPair(a, [*a[:shared], *b[shared:]], unwanted=[5, 6], wanted=[7]))
    return made


PAIRS = {"last": checks.pairs, "suffix": checks.alike, "all": equally_long}


def first_difference(a: list[int], b: list[int]) -> int:
    return next(i for i in range(min(len(a), len(b))) if a[i] != b[i])


def value(model: Any, pair: pinpoint.ContrastPair, z: dict[int, torch.Tensor] | None = None, **patch: Any) -> float:
    """Unwanted minus wanted of one unpadded, uncached pass; `patch` says whose z is exchanged where, and how far."""
    view, handles = headed(model), []
    if patch:
        head, at, share = patch["head"], patch["at"], patch.get("share", 1.0)
        columns = slice(head.head * view.head_dim, (head.head + 1) * view.head_dim)

        def exchange(_module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            x = args[0].clone()
            for position in at:
                here = len(pair.reference) - position
                other = z[head.layer][0, z[head.layer].shape[1] - position, columns]
                x[0, here, columns] = x[0, here, columns] + share * (other - x[0, here, columns])
            return (x,)

        handles.append(view.out_proj(head.layer).register_forward_pre_hook(exchange))
    try:
        logits = model(torch.tensor([pair.reference]), use_cache=False).logits[0, -1]
    finally:
        for handle in handles:
            handle.remove()
    return float(logits[pair.unwanted].mean() - logits[pair.wanted].mean())


def outputs(model: PreTrainedModel, ids: list[int]) -> dict[int, torch.Tensor]:
    view, seen = headed(model), {}
    handles = [
        view.out_proj(layer).register_forward_pre_hook(
            lambda _module, args, layer=layer: seen.__setitem__(layer, args[0].clone())
        )
        for layer in view.attention_layers
    ]
    model(torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


def counted_from_the_end(pair: pinpoint.ContrastPair, positions: str) -> range:
    length = len(pair.reference)
    starts = {"last": length - 1, "suffix": first_difference(pair.reference, pair.counterfactual), "all": 0}
    return range(1, length - (length - 1 if positions == "last" else starts[positions]) + 1)


@torch.no_grad()
def by_hand(model: PreTrainedModel, pairs: list[pinpoint.ContrastPair], positions: str) -> torch.Tensor:
    view = headed(model)
    effects = torch.zeros(len(pairs), view.n_layers, view.n_heads)
    for i, pair in enumerate(pairs):
        z, before = outputs(model, pair.counterfactual), value(model, pair)
        at = counted_from_the_end(pair, positions)
        for head in view.heads():
            effects[i, head.layer, head.head] = value(model, pair, z, head=head, at=at) - before
    return effects


def difference(family: str, positions: str, **options: Any) -> float:
    model, pairs = tiny(family), PAIRS[positions]()
    exact = by_hand(model, pairs, positions)
    assert exact.abs().max() > 1e-3, "the heads must matter for this to mean anything"
    found = pinpoint.locate(model, None, pairs, method="activation", positions=positions, **options)
    return checks.relative(found.effects, exact)


@pytest.mark.parametrize("positions", PAIRS)
@pytest.mark.parametrize("family", FEW)
def test_activation_patching_equals_a_hooked_pass_per_head(family: str, positions: str) -> None:
    assert difference(family, positions) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("positions", PAIRS)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FEW])
def test_activation_patching_equals_a_hooked_pass_per_head_on_every_other_architecture(
    family: str, positions: str
) -> None:
    assert difference(family, positions) < 1e-4


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 5}, {"engine": "naive"}])
def test_rows_at_once_and_the_cache_do_not_change_a_score(options: dict[str, Any]) -> None:
    assert difference("llama-gqa", "suffix", **options) < 1e-4


def test_a_head_of_the_last_layer_has_its_direct_effect() -> None:
    model, pairs = tiny("llama-gqa"), checks.pairs()
    total = pinpoint.locate(model, None, pairs, method="activation").effects
    direct = pinpoint.locate(model, None, pairs).effects
    assert checks.relative(total[:, -1], direct[:, -1]) < 1e-4
    assert checks.relative(total[:, 0], direct[:, 0]) > 1e-2, "later attention answers"


@torch.no_grad()
@pytest.mark.parametrize("options", [{"method": "activation", "batch_size": 5}, {"method": "attribution"}])
def test_the_reference_is_what_the_unhooked_model_says(options: dict[str, Any]) -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    found = pinpoint.locate(model, None, pairs, positions="suffix", **options)
    assert found.reference.tolist() == pytest.approx([value(model, pair) for pair in pairs], abs=1e-5)
    assert found.effects[:, :, 0].abs().max() > 1e-3, "patched rows say something else"


def test_the_cache_runs_the_patched_token_alone() -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()[:1]
    seen: list[torch.Size] = []
    handle = model.model.layers[0].register_forward_pre_hook(lambda _module, args: seen.append(args[0].shape))
    pinpoint.locate(model, None, pairs, method="activation", batch_size=10)
    handle.remove()
    other, ours = len(pairs[0].counterfactual), len(pairs[0].reference)
    assert [tuple(shape[:2]) for shape in seen] == [(1, other), (1, ours - 1), (10, 1), (10, 1)]


@pytest.mark.parametrize("method", ["activation", "attribution"])
def test_patching_the_reference_into_itself_is_exactly_zero(method: str) -> None:
    same = [dataclasses.replace(pair, counterfactual=pair.reference) for pair in checks.pairs()]
    for positions in PAIRS:
        with pytest.warns(PinpointWarning, match="same reference and counterfactual"):
            scores = pinpoint.locate(tiny("llama-gqa"), None, same, method=method, positions=positions)
        assert torch.equal(scores.effects, torch.zeros_like(scores.effects))


def test_beside_pairs_of_other_lengths_it_is_still_exactly_zero() -> None:
    first, second, *_ = checks.pairs()
    same = dataclasses.replace(first, counterfactual=first.reference)
    longer = dataclasses.replace(second, counterfactual=[*second.counterfactual, 5, 6, 7])
    for method in ("activation", "attribution"):
        scores = pinpoint.locate(tiny("llama-gqa"), None, [same, longer], method=method, positions="last")
        assert not scores.effects[0].any() and scores.effects[1].any(), method


@torch.no_grad()
def slopes_by_hand(model: PreTrainedModel, pairs: list[pinpoint.ContrastPair], positions: str) -> torch.Tensor:
    """The change of the metric as z moves towards the counterfactual's, by central differences."""
    view = headed(model)
    effects = torch.zeros(len(pairs), view.n_layers, view.n_heads)
    for i, pair in enumerate(pairs):
        z, at = outputs(model, pair.counterfactual), counted_from_the_end(pair, positions)
        for head in view.heads():
            # Wide steps, of fourth order: norms and softmax round to float32 whatever the model's dtype.
            by = {share: value(model, pair, z, head=head, at=at, share=share) for share in (0.01, 0.02, -0.01, -0.02)}
            effects[i, head.layer, head.head] = (8 * (by[0.01] - by[-0.01]) - (by[0.02] - by[-0.02])) / 0.12
    return effects


@pytest.mark.parametrize(
    ("family", "positions"),
    [("llama-gqa", "last"), ("llama-gqa", "suffix"), ("gemma2", "all"), ("bloom", "suffix"), ("falcon-40b", "last")],
)
def test_attribution_is_the_slope_of_activation_patching(family: str, positions: str) -> None:
    model, pairs = tiny(family), PAIRS[positions]()
    found = pinpoint.locate(model, None, pairs, method="attribution", positions=positions, batch_size=2)
    expected = slopes_by_hand(model.double(), pairs, positions)
    assert checks.relative(found.effects, expected) < 1e-3
    assert found.label.startswith("total effect estimated by attribution patching")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_attribution_is_the_slope_on_every_architecture(family: str) -> None:
    model = tiny(family)
    found = pinpoint.locate(model, None, checks.alike(), method="attribution", positions="suffix")
    expected = slopes_by_hand(model, checks.alike(), "suffix")
    apart = (found.effects - expected).abs() / expected.abs().max()
    assert (apart.median() if family in KINKED else apart.max()) < 2e-3


def test_attribution_leaves_weights_as_they_were() -> None:
    model = tiny("llama-gqa")
    model.lm_head.weight.requires_grad_(False)
    pinpoint.locate(model, None, checks.pairs(), method="attribution")
    assert [name for name, weight in model.named_parameters() if not weight.requires_grad] == ["lm_head.weight"]
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_positions_that_a_pair_does_not_have_are_refused() -> None:
    model = tiny("llama-gqa")
    with pytest.raises(
        InputError, match=r"pair 0: positions 'all' needs prompts of equal length; .* 14 tokens, .* 12\. Use"
    ):
        pinpoint.locate(model, None, checks.pairs(), method="activation", positions="all")
    short = [pinpoint.ContrastPair([3, 4, 5, 6], [9, 8], 5, 7)]
    with pytest.raises(InputError, match=r"pair 0: the reference goes on for 4 tokens .* has 2 in all: .*\. Use pos"):
        pinpoint.locate(model, None, short, method="attribution", positions="suffix")


def test_what_does_not_go_together_is_refused() -> None:
    def asked(**options: Any) -> None:
        pinpoint.locate(tiny("llama-gqa"), None, checks.pairs(), **options)

    with pytest.raises(ConfigError, match=r"method 'patching' is unknown. Use one of path, activation"):
        asked(method="patching")
    with pytest.raises(ConfigError, match=r"positions 'first' is unknown. Use one of last, suffix, all"):
        asked(method="activation", positions="first")
    with pytest.raises(
        ConfigError, match="positions 'all' goes with methods activation and attribution, not with 'path'"
    ):
        asked(positions="all")
    with pytest.raises(ConfigError, match="'attribution' has no brute force"):
        asked(method="attribution", engine="naive")
    with pytest.raises(ConfigError, match="heads can be given under method 'path' alone"):
        asked(method="activation", given=[pinpoint.Head(0, 0)])


def test_scores_say_what_they_are() -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    scores = pinpoint.locate(model, None, pairs, method="activation", positions="suffix")
    label = "total effect by activation patching, from the first difference on, cached"
    assert repr(scores) == f"<HeadScores: 18 heads ({label}), logit_diff, 3 pairs>"
    assert label in scores._repr_html_() and label in scores.plot().layout.title.text
    assert (scores.of([0]).method, scores.of([0]).positions) == ("activation", "suffix")


def test_partial_results_are_kept_by_method_and_positions(tmp_path: Any) -> None:
    model, pairs, space = tiny("llama-gqa"), equally_long()[1:], Workspace(tmp_path)
    asked = [("path", "last"), ("activation", "last"), ("activation", "suffix"), ("attribution", "suffix")]
    found = [pinpoint.locate(model, None, pairs, method=m, positions=p, workspace=space).effects for m, p in asked]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1 + 2 + 2 + 1  # path and attribution take both pairs at once
    for (method, positions), before in zip(asked, found, strict=True):
        again = pinpoint.locate(tiny("qwen2"), None, pairs, method=method, positions=positions, workspace=space)
        assert torch.equal(again.effects, before), "read from the workspace, whatever the model"


def test_agreement_is_measured_over_all_heads() -> None:
    effects = -torch.arange(12.0).view(1, 3, 4)
    exact = HeadScores(effects, torch.zeros(1), "logit_diff", "cached", method="activation")
    assert agreement(exact, exact, 3)[:5] == (1.0, 0.0, 3, 3, 1)
    other = dataclasses.replace(exact, effects=-effects)
    assert agreement(other, exact, 3)[:5] == (-1.0, 2.0, 0, 3, 1)
    assert agreement(dataclasses.replace(exact, effects=0 * effects), exact).correlation is None
    assert agreement(exact, exact).exact == "total effect by activation patching, last position, cached"
    with pytest.raises(InputError, match=r"shape \(1, 3, 4\) cannot be compared with scores of shape \(1, 3, 3\)"):
        agreement(exact, dataclasses.replace(exact, effects=effects[..., :3]))


def test_attribution_ranks_much_as_activation_patching_does() -> None:
    model, pairs = tiny("llama-gqa"), checks.alike()
    both = [pinpoint.locate(model, None, pairs, method=method) for method in ("attribution", "activation")]
    found = agreement(*both)
    assert found.correlation is not None and found.correlation > 0.5
