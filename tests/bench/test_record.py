"""What records of speed say of their conditions, and the counts that they are held to."""

import platform
import re
import time
from importlib.metadata import version

import pytest
import torch

from bench import _record
from bench._record import Conditions, clock, clock_name, seconds
from bench._shapes import BATCH, Shape, sweep_bytes
from bench.locate import MODELS, MOST, merged, row, timed_pairs, title

SMALL = Shape(layers=2, heads=4, groups=2, d_head=8, inner=48, vocabulary=64, pairs=3, shared=10, after=2)


def test_a_machine_is_told_by_its_processor_versions_and_day_and_never_by_its_name() -> None:
    told = Conditions().told("bfloat16")
    threads = torch.get_num_threads()
    assert f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}), {threads} thread" in told
    assert f" cores, bfloat16; Python {platform.python_version()}, torch {version('torch')}, transformers " in told
    assert re.search(
        r"; \d{4}-\d\d-\d\d; (commit [0-9a-f]{12}(-dirty)?; )?other processes took \d+ % of the cores meanwhile$", told
    )
    assert platform.node() not in told


def test_work_of_this_process_is_not_that_of_others() -> None:
    conditions = Conditions()
    sum(range(10_000_000))
    own = conditions.worked
    assert 0 < own <= conditions.busy + 0.2, "clocks of the whole machine tick a hundred times a second"
    assert 0 <= conditions.others <= 1


def test_one_thread_is_timed_by_the_processor_and_several_by_the_wall() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert clock() is time.process_time and clock_name() == "processor"
        torch.set_num_threads(2)
        assert clock() is time.perf_counter and clock_name() == "wall"
    finally:
        torch.set_num_threads(threads)


def test_seconds_are_what_the_clock_says_after_less_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([3.0, 5.5])
    monkeypatch.setattr(_record, "clock", lambda: lambda: next(told))
    assert seconds(lambda: None) == 2.5


def test_the_floor_s_bytes_are_weights_once_a_batch_and_all_else_once_a_pair() -> None:
    weights = 4 * SMALL.layers * (32 * (2 * 4 + 2 * 2) * 8 + 3 * 32 * 48)
    tokens, rows = 10 + 2 * 2, (1 + 4) + (1 + 8)
    a_pair = 4 * (2 * (2 * tokens * 32 + 2 * 2 * 8 * (tokens + 2 * 10)) + 2 * rows * 32)
    assert sweep_bytes(SMALL) == weights + 3 * a_pair
    assert sweep_bytes(SMALL._replace(pairs=BATCH + 1)) == 2 * weights + (BATCH + 1) * a_pair
    assert sweep_bytes(SMALL, size=2) == sweep_bytes(SMALL) // 2


@pytest.mark.parametrize(("tokens", "expected"), [(16, 100), (1 << 17, 1)])
def test_a_cell_is_timed_on_as_many_pairs_as_take_seconds(tokens: int, expected: int) -> None:
    shape = SMALL._replace(pairs=100, shared=tokens // 2, after=tokens // 2)
    assert timed_pairs(shape, MOST) == expected and timed_pairs(shape, 1e18) == 100


CELL = {"model": next(iter(MODELS)), "tokens": 64, "pairs": 4, "timed_pairs": 4, "floor_flops": 9, "efficiency": 0.8}
TIMES = {"floor_seconds": 0.4, "sweep_seconds": 0.5, "held": True}


def test_a_cell_is_a_line_with_its_verdict_only_where_it_was_timed_on_its_own_pairs() -> None:
    cell = CELL | TIMES | {"model": "12 x 12, d = 768"}
    assert " ".join(row(cell).split()) == "12 x 12, d = 768 64 4 0.400 0.500 0.80 held"
    assert row(cell | {"held": False}).endswith("  missed")
    assert row(cell | {"pairs": 100}).endswith("  timed on 4")
    assert title().index("aim") == row(cell).index("held")


def test_a_cell_gives_way_only_to_one_on_as_many_pairs_unless_what_it_measures_has_changed() -> None:
    on_fewer, again = CELL | {"timed_pairs": 2, "efficiency": 0.9}, CELL | {"efficiency": 0.7}
    changed = on_fewer | {"floor_flops": 8}
    other = CELL | {"model": list(MODELS)[1]}
    assert merged([CELL], [on_fewer]) == [CELL] and merged([on_fewer], [CELL]) == [CELL]
    assert merged([CELL], [again]) == [again] and merged([CELL], [changed]) == [changed]
    assert merged([other, CELL | {"pairs": 32}], [CELL]) == [CELL, CELL | {"pairs": 32}, other]
