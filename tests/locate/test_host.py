"""A sweep leaves a GPU alone while it works: nothing is read back before all rows are through."""

from typing import Any

import pytest
from torch import Tensor

import pinpoint
from bench._shapes import Shape, make_model, make_pairs
from pinpoint.locate._sweep import _Sweep

READS = ("cpu", "item", "tolist", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")
SHAPE = Shape(layers=3, heads=4, groups=2, d_head=8, inner=32, vocabulary=32, pairs=2, shared=8, after=4)


@pytest.mark.parametrize("rows_per_chunk", [6, 4096])
def test_nothing_is_read_back_while_rows_are_in_flight(monkeypatch: pytest.MonkeyPatch, rows_per_chunk: int) -> None:
    model, pairs = make_model(SHAPE), make_pairs(SHAPE)
    reads: list[str] = []
    visits: list[int] = []

    def told(name: str, real: Any) -> Any:
        def read(*arguments: Any, **more: Any) -> Any:
            reads.append(name)
            return real(*arguments, **more)

        return read

    visit = _Sweep.visit

    def watched(self: _Sweep, layer: int, *arguments: Any) -> None:
        visits.append(layer)
        with monkeypatch.context() as once:
            for name in READS:
                once.setattr(Tensor, name, told(name, getattr(Tensor, name)))
            visit(self, layer, *arguments)

    monkeypatch.setattr(_Sweep, "visit", watched)
    pinpoint.locate(model, None, pairs, rows_per_chunk=rows_per_chunk)
    assert set(visits) == {0, 1, 2} and reads == []
