"""Processes that trained together: one bit apart is told."""

from dataclasses import dataclass

import pytest
import torch

from pinpoint.errors import CheckFailed
from pinpoint.models import headed
from pinpoint.processes import Processes
from pinpoint.tune import attach, head_slices
from pinpoint.tune._replicas import check_alike
from tests.families import tiny
from tests.tune.test_slices import HEADS


@dataclass(frozen=True)
class Told(Processes):
    """The other processes' digests, as they gave them."""

    theirs: tuple[torch.Tensor, ...] = ()

    def from_process(self, owner: int, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if owner == self.rank else self.theirs[owner]


class Heard(Exception):
    """Carries a digest out."""


@dataclass(frozen=True)
class Listening(Processes):
    def from_process(self, owner: int, tensor: torch.Tensor) -> torch.Tensor:
        raise Heard(tensor.clone())


def digest(model: torch.nn.Module) -> torch.Tensor:
    with pytest.raises(Heard) as heard:
        check_alike(model, Listening(0, 2))  # type: ignore[arg-type]
    found: torch.Tensor = heard.value.args[0]
    return found


def test_one_bit_of_a_trained_weight_is_told_and_of_a_frozen_one_is_not() -> None:
    view = headed(tiny("llama-gqa"))
    model = attach(view, head_slices(view, HEADS, "q,o"))
    ours = digest(model)
    assert ours.dtype == torch.uint8 and len(ours) == 32
    check_alike(model, Told(1, 2, None, (ours, ours)))
    frozen, trained = (next(p for p in model.parameters() if p.requires_grad is found) for found in (False, True))
    with torch.no_grad():
        frozen.view(-1)[0] += 1
    assert torch.equal(digest(model), ours)
    with torch.no_grad():
        trained.view(-1)[0] += 1e-30
    assert not torch.equal(digest(model), ours)
    with pytest.raises(CheckFailed, match=r"the trained weights of process 0 are not those of process 1\."):
        check_alike(model, Told(1, 2, None, (ours, ours)))
    check_alike(model, Told(0, 1, None, (ours,)))
