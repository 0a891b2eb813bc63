"""What records of speed say of their conditions, and the counts that they are held to."""

import platform
import re
import time
from importlib.metadata import version

import pytest
import torch

from bench._record import Conditions, clock, clock_name, seconds
from bench._shapes import BATCH, Shape, sweep_bytes
from bench.floor import MOST, timed_pairs

SMALL = Shape(layers=2, heads=4, groups=2, d_head=8, inner=48, vocabulary=64, pairs=3, shared=10, after=2)


def test_a_machine_is_told_by_its_processor_versions_and_day_and_never_by_its_name() -> None:
    told = Conditions().told("bfloat16")
    threads = torch.get_num_threads()
    assert f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}), {threads} thread" in told
    assert f" cores, bfloat16; Python {platform.python_version()}, torch {version('torch')}, transformers " in told
    assert re.search(r"; \d{4}-\d\d-\d\d; other processes took \d+ % of the cores meanwhile$", told)
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
        assert seconds(lambda: time.sleep(0.2)) < 0.1, "sleep takes no processor"
        torch.set_num_threads(2)
        assert clock() is time.perf_counter and clock_name() == "wall"
    finally:
        torch.set_num_threads(threads)


def test_the_floor_s_bytes_are_weights_once_a_batch_and_all_else_once_a_pair() -> None:
    weights = 4 * SMALL.layers * (32 * (2 * 4 + 2 * 2) * 8 + 3 * 32 * 48)
    tokens, rows = 10 + 2 * 2, (1 + 4) + (1 + 8)
    a_pair = 4 * (2 * (2 * tokens * 32 + 2 * 2 * 8 * (tokens + 2 * 10)) + 2 * rows * 32)
    assert sweep_bytes(SMALL) == weights + 3 * a_pair
    assert sweep_bytes(SMALL._replace(pairs=BATCH + 1)) == 2 * weights + (BATCH + 1) * a_pair
    assert sweep_bytes(SMALL, size=2) == sweep_bytes(SMALL) // 2


@pytest.mark.parametrize(("tokens", "expected"), [(16, 100), (1 << 17, 1)])
def test_a_cell_is_timed_on_as_many_pairs_as_take_seconds(tokens: int, expected: int) -> None:
    assert MOST > 1e10
    assert timed_pairs(SMALL._replace(pairs=100, shared=tokens // 2, after=tokens // 2)) == expected
