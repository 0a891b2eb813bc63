"""Secrets are no settings: a run keeps its settings in its folder, and hands them on with its results."""

from collections.abc import Sequence
from typing import Any

from pinpoint.config._read import Layer
from pinpoint.errors import ConfigError
from pinpoint.masking import holds_key, masked_text, masked_values

_ELSEWHERE = (
    "A run writes its settings down, so put a token in the environment: HF_TOKEN for the Hub, OPENAI_API_KEY or the "
    "variable that --key-variable names for an endpoint, PINPOINT_JUDGE_KEY for a judge. Fetch what only a signed "
    "address gives yourself, and name the file. What is no secret, word otherwise."
)
_LONGEST = 60


def refuse_secrets(layers: Sequence[Layer]) -> None:
    """Stops before anything is written where a setting holds what `masking` takes for a secret.

    Args:
        layers: the settings, by where they come from.

    Raises:
        ConfigError: names every such setting and its source, and shows its value masked.
    """
    told: set[tuple[str, str]] = set()
    found: dict[str, list[str]] = {}
    for layer in layers:
        for key, value in masked_values(_without_template(layer.settings)).items():
            # What variables say stands in a layer of their own, and in that of all of them.
            if (key, shown := str(value)) not in told:
                told.add((key, shown))
                found.setdefault(layer.source, []).append(f"{masked_text(key)} holds a secret ({_short(shown)})")
    if found:
        first, *others = (f"{source}: {'; '.join(some)}." for source, some in found.items())
        where = next(iter(found))
        raise ConfigError(" ".join([first.removeprefix(f"{where}: "), *others]), where=where, mend=_ELSEWHERE)


def _without_template(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without a chat template that only looks like holding a secret: `eos_token='</s>'` is Jinja."""
    template = settings.get("template")
    if not isinstance(template, str) or holds_key(template):
        return settings
    return {key: value for key, value in settings.items() if key != "template"}


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
