"""What is warned of when tasks have been scored."""

from types import SimpleNamespace
from typing import Any, cast

from pinpoint.pipeline import Run
from pinpoint.pipeline._capability import _warn


def warned(adapter: list[dict[str, Any]], cut: int) -> list[str]:
    told: list[str] = []
    run = cast(Run, SimpleNamespace(progress=SimpleNamespace(say=told.append)))
    _warn(run, {"adapter": adapter, "cut": {"base": cut, "merged": 0}})
    return told


def test_items_that_adapter_and_merged_model_score_differently_are_counted_by_task_and_metric() -> None:
    same = {"task": "mmlu", "metric": "acc", "n": 40, "same": 40}
    other = {"task": "gsm8k", "metric": "exact_match", "n": 30, "same": 28}
    [told] = warned([same, other], cut=0)
    assert told.startswith("warning: the adapter and the merged model differ on 2 of 30 items of gsm8k, exact_match,")


def test_prompts_that_did_not_fit_are_counted() -> None:
    assert warned([], cut=0) == []
    assert warned([], cut=3) == [
        "warning: 3 prompts, or batches of them, are longer than the context: cut at the front."
    ]
