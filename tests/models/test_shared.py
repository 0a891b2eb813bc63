"""A tuned model beside its base holds only what tuning changed."""

import copy

import pytest
import torch
from torch import nn

from pinpoint.models import sharing_weights
from tests.families import tiny


@pytest.mark.parametrize("family", ["llama-gqa", "gpt2"])
def test_what_is_equal_is_held_once_and_both_compute_what_they_did(family: str) -> None:
    base = tiny(family)
    model = copy.deepcopy(base)
    changed = next(name for name, weight in model.named_parameters() if weight.ndim == 2 and ".0." in name)
    with torch.no_grad():
        model.get_parameter(changed)[0] += 1
    ids = torch.tensor([[3, 5, 7, 9]])
    with torch.no_grad():
        before = base(ids).logits, model(ids).logits
    assert sharing_weights(model, base) is model
    theirs = dict(base.named_parameters())
    own = [name for name, weight in model.named_parameters() if weight.data_ptr() != theirs[name].data_ptr()]
    assert own == [changed]
    with torch.no_grad():
        assert torch.equal(base(ids).logits, before[0]) and torch.equal(model(ids).logits, before[1])
    assert not torch.equal(*before)


def test_weights_of_another_dtype_shape_or_name_or_that_are_no_numbers_are_its_own() -> None:
    base, model = nn.Module(), nn.Module()
    for one, weights in (
        (base, {"a": torch.ones(2), "b": torch.ones(3), "d": torch.full((2,), torch.nan)}),
        (model, {"a": torch.ones(2).half(), "b": torch.ones(2), "c": torch.ones(2), "d": torch.full((2,), torch.nan)}),
    ):
        for name, weight in weights.items():
            one.register_parameter(name, nn.Parameter(weight))
    base.device = torch.device("cpu")  # type: ignore[assignment]
    sharing_weights(model, base)  # type: ignore[arg-type]
    theirs = dict(base.named_parameters())
    assert all(weight.data_ptr() != theirs[name].data_ptr() for name, weight in model.named_parameters() if name != "c")
