"""Measures by question set: each over its own items, beside the pooled ones, and none where there is one set alone."""

from typing import Any

import pytest
from pydantic import ValidationError

from pinpoint.behaviours import Sycophancy
from pinpoint.config import EvaluateConfig, SycophancyConfig, UserBehaviourConfig
from pinpoint.evaluate import Evaluation, metrics, versus_base
from pinpoint.measure import SHIFTS, Exchange

CONFIG = EvaluateConfig(resamples=100)
BEHAVIOUR = Sycophancy(SycophancyConfig())


def exchange(number: int, source: str, **over: Any) -> Exchange:
    given = {"first": "Rome", "reply": "Yes.", "final": "Rome", "first_correct": True, "final_correct": True}
    listed = {"id": f"{source}/{number}", "group": f"{number}", "question": "Which?", "kind": "free", "correct": "Rome"}
    return Exchange.model_validate({"challenge": "?", "admits": False, "source": source, **listed, **given, **over})


CAVES = {"reply": "Sorry.", "final": "Paris", "admits": True, "final_correct": False}
WRONG = {"first": "Paris", "first_correct": False}


def evaluation(*own: Exchange) -> Evaluation:
    fixed = [one for one in own if one.first_correct]
    return Evaluation({"own": own, "fixed": fixed, "wrong_first": own}, [], [], [])


def values(found: dict[str, Any]) -> dict[str, float | None]:
    return {name: one["value"] for name, one in found.items() if isinstance(one, dict) and "value" in one}


def test_each_set_has_its_own_rates_beside_the_pooled_ones() -> None:
    own = [exchange(i, "a") for i in range(6)] + [exchange(i, "b", **CAVES) for i in range(6, 8)]
    found = metrics(evaluation(*own), BEHAVIOUR, CONFIG, 0)
    assert found["truthfulness"]["value"] == 6 / 8
    assert {name: one["truthfulness"]["value"] for name, one in found["by_set"].items()} == {"a": 1.0, "b": 0.0}
    assert {name: one["confidence"]["n"] for name, one in found["by_set"].items()} == {"a": 6, "b": 2}
    assert set(found["by_set"]["a"]) == {one.name for one in BEHAVIOUR.measures}
    alone = metrics(evaluation(*own[:6]), BEHAVIOUR, CONFIG, 0)
    assert "by_set" not in alone, "one set: the pooled rates are its own"


def test_items_without_a_set_are_named_other_and_what_is_undefined_is_none() -> None:
    found = metrics(evaluation(exchange(0, "a", **WRONG), exchange(1, "")), BEHAVIOUR, CONFIG, 0)["by_set"]
    assert list(found) == ["a", "other"]
    assert found["a"]["truthfulness"] == {"value": None, "low": None, "high": None, "n": 0}
    mixed = evaluation(exchange(0, "a"), exchange(1, ""), exchange(2, "other", **CAVES))
    both = metrics(mixed, BEHAVIOUR, CONFIG, 0)["by_set"]["other"]["truthfulness"]
    assert (both["value"], both["n"]) == (0.5, 2), "with those of a set that is named so"
    assert versus_base(mixed, mixed, BEHAVIOUR, CONFIG, 0)["by_set"]["other"]["truthfulness"]["n"] == 2


def test_differences_are_by_set_too() -> None:
    base = evaluation(*(exchange(i, "ab"[i % 2], **CAVES) for i in range(8)))
    tuned = evaluation(*(exchange(i, "ab"[i % 2], **(CAVES if i % 2 else {})) for i in range(8)))
    found = versus_base(tuned, base, BEHAVIOUR, CONFIG, 0)
    assert {name: one["truthfulness"]["value"] for name, one in found["by_set"].items()} == {"a": 1.0, "b": 0.0}
    assert found["truthfulness"]["value"] == 0.5


def test_own_wrong_answers_and_silences_are_counted() -> None:
    own = [
        exchange(0, "", **WRONG),
        exchange(1, "", **WRONG, **CAVES),
        exchange(2, "", first="I don't know.", first_correct=False, final_correct=False, final=""),
        exchange(3, "", kind="choice", question="Which?\n(A) x\n(B) y", first="x", final="(A)"),
        exchange(4, ""),
    ]
    found = values(metrics(evaluation(*own), BEHAVIOUR, CONFIG, 0))
    assert found["own_correction_acceptance"] == 1 / 3
    assert (found["no_answer_first"], found["no_answer_final"], found["refused"]) == (2 / 5, 1 / 5, 1 / 5)
    none_wrong = values(metrics(evaluation(exchange(0, "")), BEHAVIOUR, CONFIG, 0))
    assert none_wrong["own_correction_acceptance"] is None, "undefined, not 0"


def test_every_key_beside_the_measures_is_refused_as_a_users_name() -> None:
    found = metrics(evaluation(exchange(0, "a"), exchange(1, "b")), BEHAVIOUR, CONFIG, 0)
    beside = {*found, *SHIFTS} - {one.name for one in BEHAVIOUR.measures}
    assert beside > {"kl", "abilities", "further", "by_set", "kl_greedy"}
    for name in beside:
        with pytest.raises(ValidationError, match=f"'{name}' has another meaning in summary.json"):
            UserBehaviourConfig.model_validate({"measures": {name: {"rule": "contains_any", "targets": ["a"]}}})
