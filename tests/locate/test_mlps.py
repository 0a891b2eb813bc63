"""MLPs patched along the direct path, against a Llama written out by hand."""

import pytest
import torch

import pinpoint
from pinpoint.interventions import captured_heads, edited_inputs
from pinpoint.locate._mlps import mlp_effects
from pinpoint.models import headed
from tests.families import tiny
from tests.models import checks


@torch.no_grad()
def by_hand(model: object, pair: pinpoint.ContrastPair, layer: int) -> float:
    """Adds the difference of the MLP's output to the residual stream and reruns what comes after it."""
    view = headed(model)
    reference, counterfactual = (torch.tensor([ids]) for ids in (pair.reference, pair.counterfactual))
    outputs = []
    mlp = model.model.layers[layer].mlp
    handle = mlp.register_forward_hook(lambda _module, _args, output: outputs.append(output[:, -1].clone()))
    model(counterfactual)
    with captured_heads(view) as z:
        model(reference)
    handle.remove()
    moved = outputs[0] - outputs[1]

    def add(_module: object, _args: object, output: torch.Tensor) -> torch.Tensor:
        return torch.cat([output[:, :-1], output[:, -1:] + moved[:, None]], dim=1)

    handle = mlp.register_forward_hook(add)
    with edited_inputs(view.out_projs(), lambda i, x: z[i].view_as(x)):
        patched = model(reference).logits[0, -1]
    handle.remove()
    before = model(reference).logits[0, -1]
    return float((patched - before)[pair.unwanted] - (patched - before)[pair.wanted])


@pytest.mark.parametrize("family", ["llama-gqa", "qwen3"])
def test_the_effect_of_an_mlp_is_what_adding_its_difference_does(family: str) -> None:
    model = tiny(family)
    pairs = [pinpoint.ContrastPair(list(range(1, 9)), list(range(3, 9)) + [40 + i], 5, 6) for i in range(3)]
    effects = mlp_effects(model, None, pairs, batch_size=2)
    expected = [[by_hand(model, pair, layer) for layer in range(effects.shape[1])] for pair in pairs]
    assert checks.relative(effects, torch.tensor(expected)) < 1e-4


@pytest.mark.parametrize("family", ["gpt2", "opt", "gpt-neox", "mixtral", "falcon-7b", "jamba"])
def test_it_runs_on_other_layouts_and_the_reference_into_itself_is_nothing(family: str) -> None:
    model = tiny(family)
    effects = mlp_effects(model, None, checks.pairs())
    assert effects.isfinite().all() and effects.abs().max() > 0
    same = [pinpoint.ContrastPair([1, 2, 3], [1, 2, 3], 5, 6)]
    assert mlp_effects(model, None, same).abs().max() < 1e-5
