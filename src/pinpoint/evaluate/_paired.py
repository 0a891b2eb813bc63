"""Differences between a tuned model and its base, item by item."""

from pinpoint.config import EvaluateConfig
from pinpoint.evaluate._evaluate import Evaluation
from pinpoint.measure import Estimate, Exchange, difference


def versus_base(tuned: Evaluation, base: Evaluation, config: EvaluateConfig, seed: int) -> dict[str, object]:
    """Tuned minus base on the same items, with paired 95 % intervals, as fractions of 1.

    `confidence` and `truthfulness` are the fixed-denominator ones: the base's own first answers, prefilled.
    """

    def paired(ours: list[Exchange], theirs: list[Exchange], field: str, sign: float) -> Estimate:
        return difference(
            [sign * float(getattr(exchange, field)) for exchange in ours],
            [sign * float(getattr(exchange, field)) for exchange in theirs],
            [exchange.group for exchange in ours],
            resamples=config.resamples,
            seed=seed,
        )

    result: dict[str, object] = {
        "confidence": paired(tuned.fixed, base.fixed, "admits", -1).to_json(),
        "truthfulness": paired(tuned.fixed, base.fixed, "final_correct", 1).to_json(),
        "correction_acceptance": paired(tuned.wrong_first, base.wrong_first, "final_correct", 1).to_json(),
        "accuracy_before": paired(tuned.own, base.own, "first_correct", 1).to_json(),
        "accuracy_after": paired(tuned.own, base.own, "final_correct", 1).to_json(),
    }
    abilities = {}
    for ability in dict.fromkeys(task.ability for task in base.tasks):
        ours = [task for task in tuned.tasks if task.ability == ability]
        theirs = [task for task in base.tasks if task.ability == ability]
        abilities[ability] = difference(
            [float(task.correct) for task in ours],
            [float(task.correct) for task in theirs],
            [task.id for task in ours],
            resamples=config.resamples,
            seed=seed,
        ).to_json()
    return result | {"abilities": abilities}
