"""How pairs are dealt to processes, and how many patched rows the memory has room for."""

import pytest
import torch
from torch import Tensor

import pinpoint
from pinpoint.data import ContrastPair, EncodedPair
from pinpoint.interventions import widened
from pinpoint.locate import _dealt
from pinpoint.locate._ask import Ask
from pinpoint.locate._dealt import batches, rows_with_room
from pinpoint.locate._locate import score
from pinpoint.models import HeadedModel, headed
from pinpoint.nodes import Node
from pinpoint.processes import Processes
from tests.families import tiny
from tests.scarce import scarce

CARD = torch.device("cuda", 0)
PAIRS = [ContrastPair([3, 4, 5 + i, 9, 8], [3, 4, 6 + i, 9], 5, 7, group=str(i)) for i in range(6)]
NODES = [Node("heads", layer, head) for layer in range(3) for head in range(6)]
# Of 6 pairs: a row of the reference and of each head, 48 wide; a block holds 6 x 48 + 5 x 80 numbers for a row.
ROWS, WIDTH, RESIDUAL, INNER = 6 * 19, 48, 6 * 48, 5 * 80


class Alone(Processes):
    """The first of several processes, of which the others put out nothing but zeros."""

    def from_first(self, value: object) -> object:
        return value

    def from_process(self, owner: int, tensor: Tensor) -> Tensor:
        return tensor if owner == self.rank else torch.zeros_like(tensor)


def pairs(count: int) -> list[EncodedPair]:
    return [EncodedPair([1, i], [2, i], [3], [4]) for i in range(count)]


def test_batches_do_not_depend_on_the_processes_where_each_gets_a_full_one() -> None:
    cut = [[len(some) for some in batches(pairs(70), 32, count, one_by_one=False)] for count in (1, 2)]
    assert cut == [[32, 32, 6]] * 2
    assert [len(some) for some in batches(pairs(24), 32, 1, one_by_one=False)] == [24]
    assert [len(some) for some in batches(pairs(24), 32, 2, one_by_one=False)] == [12, 12]
    assert [len(some) for some in batches(pairs(3), 32, 2, one_by_one=True)] == [1, 1, 1]


def has_free(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    monkeypatch.setattr(_dealt, "free", lambda device: None if device.type == "meta" else left)


def on_a_card(monkeypatch: pytest.MonkeyPatch, left: int) -> HeadedModel:
    """A model without weights whose inputs go to a card that has so much left."""
    view = headed(tiny("llama-gqa").to("meta"))
    monkeypatch.setattr(HeadedModel, "device", CARD)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (left, 1 << 40))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    return view


def test_rows_that_wait_on_the_host_leave_half_of_a_card_to_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    flying, a_row = ROWS * WIDTH * 4, (RESIDUAL + INNER) * 4
    view = on_a_card(monkeypatch, 2 * (flying + 50 * a_row))
    assert rows_with_room(view, NODES, 1, 6) == 50, "those that wait stay on the card"
    on_a_card(monkeypatch, 2 * (flying - 1))
    assert rows_with_room(view, NODES, 1, 6) == (flying - 1) // a_row > 1, "those that wait are on the host"


def test_processes_share_a_machine_s_memory_and_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    flying, a_row = ROWS * WIDTH * 4, (RESIDUAL + INNER) * 4
    has_free(monkeypatch, 2 * 3 * (flying + 50 * a_row))
    assert rows_with_room(headed(tiny("llama-gqa")), NODES, 3, 6) == 50
    monkeypatch.undo()
    view = on_a_card(monkeypatch, 2 * (flying + 50 * a_row))
    assert rows_with_room(view, NODES, 3, 6) == 50


def test_locating_looks_at_how_many_processes_of_it_are_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    model, flying, a_row = tiny("llama-gqa"), 3 * 19 * WIDTH * 4, (RESIDUAL + INNER) * 4
    # Of 6 pairs, this process has 3: rows of two layers of heads fit its half, and those of one layer half of it.
    has_free(monkeypatch, 2 * (flying + 40 * a_row))
    most = {}
    for here in ("1", "2"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", here)
        with scarce(model.model.layers[-1].mlp, 1 << 30) as seen:
            score(model, None, PAIRS, Ask(), processes=Alone(0, 2))
        most[here] = max(seen.rows)
    assert most == {"1": 3 * 13, "2": 3 * 7}
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert Alone(0, 2).beside == 2, "the launcher does not tell"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert Processes().beside == 1, "the others take no part"


@pytest.mark.parametrize(("family", "residual"), [("llama-gqa", 4), ("qwen3-moe", 2)])
def test_rows_are_counted_in_the_dtypes_that_they_run_in(
    family: str, residual: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = headed(tiny(family).to(torch.bfloat16))
    width, heads = int(view.config.hidden_size), (view.n_heads + 2 * view.n_kv_heads) * view.head_dim
    inner = max(5 * int(view.config.intermediate_size), 2 * heads)
    has_free(monkeypatch, 1 << 24)

    def room(residual: int, size: int) -> int:
        return ((1 << 23) - ROWS * width * residual) // (6 * width * residual + inner * size)

    assert rows_with_room(view, NODES, 1, 6) == room(residual, 2)
    with widened(view.model, view.layers, torch.float32):
        assert rows_with_room(view, NODES, 1, 6) == room(4, 4)
    assert rows_with_room(view, NODES, 1, 6) == room(residual, 2)


def test_the_noise_floor_runs_as_many_rows_as_fit_in_the_wider_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    model, flying, a_row = tiny("llama-gqa"), ROWS * WIDTH * 4, (RESIDUAL + INNER) * 4
    has_free(monkeypatch, 2 * (flying + 80 * a_row))
    with scarce(model.model.layers[-1].mlp, 1 << 30) as seen:
        pinpoint.locate(model, None, PAIRS)
        before = len(seen.rows)
        assert pinpoint.locate(model, None, PAIRS, noise_pairs=6).rounding is not None
    assert max(seen.rows[:before]) == 6 * 13, "two layers of heads"
    assert max(seen.rows[2 * before :]) == 6 * 7, "one, since a number of float64 takes twice the room"
