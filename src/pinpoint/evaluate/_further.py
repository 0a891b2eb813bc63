"""Numbers of further sets: means over items, and differences to the base on the same items."""

from collections.abc import Mapping, Sequence
from typing import Any

from pinpoint.beyond import FURTHER
from pinpoint.config import EvaluateConfig
from pinpoint.measure import difference, estimate, share, share_difference

Records = Mapping[str, Sequence[Mapping[str, Any]]]


def said_in(record: Mapping[str, Any]) -> list[str]:
    """What the model itself said on an item."""
    if "replies" in record:
        return list(record["replies"].values())
    later = record["messages"][len(record["messages"]) - 2 * len(record["holds"]) :]
    return [message["content"] for message in later if message["role"] == "assistant"]


def further_metrics(played: Records, config: EvaluateConfig, seed: int) -> dict[str, Any]:
    """Each measure of each set, with its 95 % interval; a value that is None counts nowhere."""
    found: dict[str, Any] = {}
    for name, records in played.items():
        found[name] = {}
        for measure in FURTHER[name].measures:
            kept = [one for one in records if one["values"].get(measure.name) is not None]
            values, groups = [one["values"][measure.name] for one in kept], [one["group"] for one in kept]
            mean = share if measure.unit == "rate" and set(values) <= {0.0, 1.0} else estimate
            found[name][measure.name] = mean(values, groups, resamples=config.resamples, seed=seed).to_json()
    return found


def further_differences(tuned: Records, base: Records, config: EvaluateConfig, seed: int) -> dict[str, Any]:
    """Tuned minus base, over the items on which both have a value."""
    found: dict[str, Any] = {}
    for name, records in tuned.items():
        before = {one["id"]: one["values"] for one in base[name]}
        found[name] = {}
        for measure in FURTHER[name].measures:
            kept = [
                one
                for one in records
                if None not in (one["values"].get(measure.name), before[one["id"]].get(measure.name))
            ]
            ours = [one["values"][measure.name] for one in kept]
            theirs = [before[one["id"]][measure.name] for one in kept]
            groups = [one["group"] for one in kept]
            less = share_difference if measure.unit == "rate" and {*ours, *theirs} <= {0.0, 1.0} else difference
            found[name][measure.name] = less(ours, theirs, groups, resamples=config.resamples, seed=seed).to_json()
    return found
