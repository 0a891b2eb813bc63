"""Batches dealt to several processes come back whole, in order, and are kept by the first alone.

Threads stand in for the processes here; tests/test_processes.py starts real ones.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

import pinpoint
from pinpoint.artifacts import Workspace
from pinpoint.heads import HeadScores
from pinpoint.locate._ask import ENGINES
from pinpoint.processes import Processes
from tests.families import tiny
from tests.locate.test_engines import pairs


class Board:
    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count, timeout=60)
        self.tensor = torch.empty(0)


@dataclass(frozen=True)
class Threads(Processes):
    board: Board = field(default_factory=lambda: Board(1))

    def from_process(self, owner: int, tensor: torch.Tensor) -> torch.Tensor:
        if self.rank == owner:
            self.board.tensor = tensor
        self.board.barrier.wait()
        given = self.board.tensor.clone()
        self.board.barrier.wait()
        assert given.shape == tensor.shape and given.dtype == tensor.dtype or self.rank == owner
        return given


def together(count: int, workspace: Workspace | None = None, batch_size: int = 2, **asked: str) -> list[HeadScores]:
    board = Board(count)

    def one(rank: int) -> HeadScores:
        processes = Threads(rank, count, None, board)
        space = workspace if rank == 0 else None
        model = tiny("llama-gqa")
        return pinpoint.locate(
            model, None, pairs(4, count=7), batch_size=batch_size, workspace=space, processes=processes, **asked
        )

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("method", ["path", "activation", "attribution"])
def test_all_processes_get_all_scores_in_order(method: str) -> None:
    alone = pinpoint.locate(tiny("llama-gqa"), None, pairs(4, count=7), batch_size=2, method=method)
    for scores in together(3, method=method):
        assert torch.allclose(scores.effects, alone.effects, atol=1e-6)
        assert torch.allclose(scores.reference, alone.reference, atol=1e-6)


def test_few_batches_are_cut_so_that_every_process_has_work(tmp_path: Path) -> None:
    alone = pinpoint.locate(tiny("llama-gqa"), None, pairs(4, count=7))
    assert torch.allclose(together(2, Workspace(tmp_path), batch_size=32)[1].effects, alone.effects, atol=1e-6)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_what_was_kept_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = together(2, Workspace(tmp_path))
    parts = sorted(tmp_path.glob("*.safetensors"))
    assert len(parts) == 4
    parts[1].unlink()
    computed = []
    sweep = ENGINES["sweep"]
    monkeypatch.setitem(ENGINES, "sweep", lambda *given: computed.append(len(given[1])) or sweep(*given))
    again = together(2, Workspace(tmp_path))
    assert len(computed) == 1
    assert all(torch.equal(left.effects, right.effects) for left, right in zip(before, again, strict=True))
