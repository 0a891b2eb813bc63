"""The measures of a behaviour by the question set that items come from, beside those over all of them."""

from typing import Any

from pinpoint.behaviours import Behaviour, Played
from pinpoint.config import EvaluateConfig


def name_of(part: str) -> str:
    """What items of a set or model are listed under; those of none with those that are named so."""
    return part or "other"


def _sets(played: Played) -> list[str]:
    """The sets that records come from, where there are several."""
    found = list(dict.fromkeys(name_of(one.source) for records in played.values() for one in records))
    return found if len(found) > 1 else []


def _of(played: Played, name: str) -> Played:
    return {part: [one for one in records if name_of(one.source) == name] for part, records in played.items()}


def by_set(played: Played, behaviour: Behaviour, config: EvaluateConfig, seed: int) -> dict[str, Any]:
    """Every measure by set; nothing where all items are of one set. Items without a set are named "other"."""
    return {
        name: {key: one.to_json() for key, one in behaviour.metrics(_of(played, name), config, seed).items()}
        for name in _sets(played)
    }


def by_set_versus_base(
    tuned: Played, base: Played, behaviour: Behaviour, config: EvaluateConfig, seed: int
) -> dict[str, Any]:
    """The differences to the base by set, as `by_set`."""
    return {
        name: {
            key: one.to_json()
            for key, one in behaviour.versus_base(_of(tuned, name), _of(base, name), config, seed).items()
        }
        for name in _sets(base)
    }
