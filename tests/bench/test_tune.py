"""What a step of training is held to, from times and memory that are known."""

import pytest

from bench.tune import LAYERS, LOWEST, MEMORY_OVER, METHODS, UNTRAINED, Timed, summary, tuned

TRAINED = [name for name in METHODS if name not in UNTRAINED]


def test_gains_are_of_medians_and_bounds_follow_from_the_lowest_head() -> None:
    seconds = {name: [2.0, 1.0, 9.0] for name in TRAINED} | {"full": [4.0], "lora": [3.0]}
    rows = summary(dict.fromkeys(METHODS, 100), Timed(seconds, tokens=600.0))
    quarter = rows["pinpoint_quarter"]
    assert (quarter["tokens_a_second"], quarter["gain_over_full"], quarter["gain_over_lora"]) == (300.0, 2.0, 1.5)
    bounds = {name: rows[name]["bound"] for name in LOWEST}
    assert bounds == {"pinpoint_top": 2.0, "pinpoint_cached": 3.0, "pinpoint_quarter": 2.4, "pinpoint_all": 1.5}
    assert quarter["of_bound"] == pytest.approx(2.0 / 2.4)
    assert all("tokens_a_second" not in rows[name] for name in UNTRAINED)


def test_memory_is_over_inference_and_over_passes_that_keep_what_the_same_layers_need() -> None:
    memory = {name: 100 + 10 * i for i, name in enumerate(METHODS)}
    rows = summary(memory, Timed({name: [1.0] for name in TRAINED}, tokens=1.0))
    assert set(MEMORY_OVER) == set(LOWEST)
    for name, row in rows.items():
        assert row["peak_bytes"] == memory[name] and row["memory_over_inference"] == memory[name] / 100
    assert rows["pinpoint_quarter"]["memory_over_kept"] == memory["pinpoint_quarter"] / memory["kept_quarter"]
    assert rows["pinpoint_cached"]["memory_over_kept"] == memory["pinpoint_cached"] / memory["kept_top"]


@pytest.mark.parametrize("method", LOWEST)
def test_six_heads_lie_in_the_layers_from_the_lowest_on(method: str) -> None:
    heads = tuned(method)
    assert len(set(heads)) == 6 and {head.layer for head in heads} <= set(range(LOWEST[method], LAYERS))
    assert min(heads).layer == LOWEST[method]
