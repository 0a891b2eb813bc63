"""What the sweep costs, counted: a guard against encoding the shared beginning twice or running attention for rows."""

import dataclasses
import sys
from typing import Any

import pytest
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import pinpoint
from bench._shapes import Shape, make_model, make_pairs, sweep_flops
from pinpoint.locate._sweep import _Sweep
from pinpoint.models import headed
from pinpoint.models._llama import LLAMA
from pinpoint.models._spec import HeadedModel

SHAPES = [
    Shape(layers=4, heads=4, groups=2, d_head=16, inner=160, vocabulary=64, pairs=3, shared=48, after=8),
    Shape(layers=6, heads=8, groups=8, d_head=8, inner=128, vocabulary=512, pairs=5, shared=20, after=20),
    Shape(layers=2, heads=6, groups=1, d_head=16, inner=256, vocabulary=64, pairs=1, shared=120, after=4),
    Shape(layers=8, heads=4, groups=4, d_head=16, inner=192, vocabulary=64, pairs=4, shared=8, after=40),
]


def counted(shape: Shape, rows_per_chunk: int = 1 << 20) -> int:
    """Floating-point operations of a sweep, by torch's own counter."""
    # The counter does not see into fused attention on a CPU.
    model, some = make_model(shape, attention="eager"), make_pairs(shape)
    with FlopCounterMode(display=False) as counter:
        pinpoint.locate(model, None, some, rows_per_chunk=rows_per_chunk)
    return counter.get_total_flops()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sweep_costs_what_the_formula_says(shape: Shape) -> None:
    assert counted(shape) == pytest.approx(sweep_flops(shape), rel=0.05)


def test_the_formula_tells_a_sweep_that_encodes_the_beginning_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = dataclasses.replace(LLAMA, shares_prefix=False)
    monkeypatch.setattr(
        sys.modules["pinpoint.locate._locate"], "headed", lambda model: HeadedModel(headed(model).model, twice)
    )
    assert counted(SHAPES[0]) > 1.2 * sweep_flops(SHAPES[0])


def test_more_chunks_cost_one_more_row_each() -> None:
    assert counted(SHAPES[1], rows_per_chunk=40) == pytest.approx(sweep_flops(SHAPES[1]), rel=0.05)


def test_the_formula_tells_a_sweep_that_runs_attention_for_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    through = _Sweep._through

    def attended(self: _Sweep, layer: int, rows: Tensor, *arguments: Any) -> Tensor:
        attention: Any = self._view.attention(layer)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            projection(rows)
        return through(self, layer, rows, *arguments)

    monkeypatch.setattr(_Sweep, "_through", attended)
    # With short prompts, where rows are most of the work.
    assert counted(SHAPES[1]) > 1.1 * sweep_flops(SHAPES[1])


@pytest.mark.parametrize(("shared", "passes"), [(0, 1), (3, 1), (4, 2), (48, 2)])
def test_a_beginning_that_is_hardly_shared_is_no_pass_of_its_own(shared: int, passes: int) -> None:
    shape = SHAPES[0]._replace(shared=shared, after=64 - shared)
    model, seen = make_model(shape), list[int]()
    with model.model.register_forward_pre_hook(
        lambda _module, _args, more: seen.append(more["input_ids"].shape[1]), with_kwargs=True
    ):
        pinpoint.locate(model, None, make_pairs(shape))
    assert len(seen) == passes and sum(seen) == 64
