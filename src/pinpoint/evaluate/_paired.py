"""Differences between a tuned model and its base, or another that was tuned from it, item by item."""

from typing import Any

from pinpoint.behaviours import Behaviour
from pinpoint.config import EvaluateConfig
from pinpoint.evaluate._by_set import by_set_versus_base
from pinpoint.evaluate._evaluate import Evaluation
from pinpoint.evaluate._further import further_differences
from pinpoint.measure import difference, share_difference


def versus_base(
    tuned: Evaluation, base: Evaluation, behaviour: Behaviour, config: EvaluateConfig, seed: int
) -> dict[str, Any]:
    """Tuned minus base on the same items, with paired 95 % intervals, as fractions of 1."""
    measured = behaviour.versus_base(tuned.played, base.played, config, seed)
    result: dict[str, Any] = {name: value.to_json() for name, value in measured.items()}
    abilities = {}
    for ability in dict.fromkeys(task.ability for task in base.tasks):
        ours = [task for task in tuned.tasks if task.ability == ability]
        theirs = [task for task in base.tasks if task.ability == ability]
        abilities[ability] = share_difference(
            [float(task.correct) for task in ours],
            [float(task.correct) for task in theirs],
            [task.id for task in ours],
            resamples=config.resamples,
            seed=seed,
        ).to_json()
    further = further_differences(tuned.further, base.further, config, seed)
    sets = by_set_versus_base(tuned.played, base.played, behaviour, config, seed)
    return result | {"abilities": abilities, "further": further} | ({"by_set": sets} if sets else {})


def versus_tuned(
    ours: Evaluation, theirs: Evaluation, behaviour: Behaviour, config: EvaluateConfig, seed: int
) -> dict[str, Any]:
    """One model minus another of the same base, on the same items: as `versus_base`, and in their KL to the base."""
    kl = difference(ours.kl, theirs.kl, ours.neutral_ids, resamples=config.resamples, seed=seed)
    return versus_base(ours, theirs, behaviour, config, seed) | {"kl": kl.to_json()}
