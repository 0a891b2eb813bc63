"""Rows in flight that wait in the host's memory: the same scores, and no more on the device than runs."""

import sys
from typing import Any

import pytest
import torch

import pinpoint
from pinpoint.locate import _waiting
from pinpoint.locate._sweep import _Sweep
from pinpoint.locate._waiting import waiting_room
from pinpoint.nodes import KINDS
from tests.families import tiny
from tests.locate.test_continuations import UNWANTED, WANTED, continued
from tests.models import checks

CARD = torch.device("cuda", 0)
# Another name of the host, so that rows are moved where there is no card.
ELSEWHERE = torch.device("cpu", 0)


def test_rows_wait_on_the_host_where_they_would_take_half_of_what_a_card_has_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (600, 10_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 900)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 500)
    assert waiting_room(CARD, 500) == CARD
    assert waiting_room(CARD, 501) == torch.device("cpu")
    assert waiting_room(torch.device("cpu"), 1 << 60) == torch.device("cpu")
    assert waiting_room(torch.device("mps"), 1 << 60) == torch.device("mps"), "its memory is the host's"


@pytest.mark.parametrize("family", ["llama-gqa", "gemma2", "bloom", "mixtral", "jamba"])
@pytest.mark.parametrize("rows_per_chunk", [12, 4096])
def test_where_rows_wait_changes_no_score(family: str, rows_per_chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, pairs = tiny(family), continued(checks.alike())
    ask: dict[str, Any] = {"nodes": KINDS, "metric": "logprob_diff", "rows_per_chunk": rows_per_chunk}
    plain = pinpoint.locate_nodes(model, None, pairs, **ask)
    asked: list[int] = []
    waits: list[bool] = []

    def elsewhere(_device: torch.device, needed: int) -> torch.device:
        asked.append(needed)
        return ELSEWHERE

    put = _Sweep._put

    def watched(self: _Sweep, chunk: Any, rows: torch.Tensor) -> None:
        put(self, chunk, rows)
        waits.append(self._room == ELSEWHERE)

    monkeypatch.setattr(sys.modules["pinpoint.locate._sweep"], "waiting_room", elsewhere)
    monkeypatch.setattr(_Sweep, "_put", watched)
    moved = pinpoint.locate_nodes(model, None, pairs, **ask)
    assert torch.equal(moved.effects, plain.effects) and torch.equal(moved.reference, plain.reference)
    sites = len(pairs) * sum(map(len, (*UNWANTED, *WANTED)))
    assert sum(asked) == sites * (1 + len(plain.nodes)) * model.config.hidden_size * 4, "over all batches"
    assert waits and all(waits)


@pytest.mark.gpu
def test_on_a_card_the_rows_of_other_chunks_are_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pairs = tiny("llama-gqa").to("cuda"), checks.pairs() * 200
    found, peaks = [], []
    for share in (_waiting._SHARE, 0.0):
        monkeypatch.setattr(_waiting, "_SHARE", share)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        found.append(pinpoint.locate(model, None, pairs, batch_size=len(pairs), rows_per_chunk=2 * len(pairs)).effects)
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert torch.equal(*found) and peaks[1] < peaks[0]
