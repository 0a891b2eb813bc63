"""The model card of a run, which an export has too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from pinpoint.errors import ConfigError
from pinpoint.pipeline._record import InputFiles, Record

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

CARD = "README.md"


def base_id(model: str, given: str | None) -> str | None:
    """The base's Hub id: the one given, or the run's model where that is one; None for a local folder.

    Raises:
        ConfigError: what was given is not a Hub id.
    """
    name = given if given is not None else model
    if given is None and Path(model).exists():
        return None
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        if given is None:
            return None
        raise ConfigError(f"{given!r} is not a Hub id.", where="--base", mend="Write org/name.") from error
    return name


def shared(record: Record) -> Record:
    """The record without the paths of this machine: names of files and folders alone."""
    inputs = {key: _nameless(one) for key, one in record.inputs.items()}
    config = json.loads(json.dumps(record.config))
    for key, one in inputs.items():
        *above, last = key.split(".")
        part: Any = config
        for name in above:
            part = part[int(name)] if isinstance(part, list) else part[name]
        part[last] = one.path
    return record.model_copy(update={"inputs": inputs, "config": config})


def _nameless(one: InputFiles) -> InputFiles:
    return one if one.revision is not None else one.model_copy(update={"path": Path(one.path).name})


def card_of(
    run: Run, base: str | None, record: Record, dtype: str, base_dtype: str, agreement: dict[str, Any] | None = None
) -> str:
    """The card of a finished run's tuned model.

    Args:
        run: the run.
        base: the base's Hub id, where it is known.
        record: of the run, without paths of this machine.
        dtype: of the merged model.
        base_dtype: of the base.
        agreement: of the merged model with the live adapter, where an export has measured it.
    """
    from pinpoint.report import CardFacts, model_card

    settings = {key: value for key, value in record.config.items() if key != "compare"}
    facts = CardFacts(
        base=base,
        name=base or record.inputs["model"].path,
        revision=record.inputs["model"].revision,
        dtype=dtype,
        base_dtype=base_dtype,
        agreement=agreement,
        inputs=[(key, name, one) for key, files in record.inputs.items() for name, one in files.files.items()],
        settings=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
        versions=record.versions,
        own_code=run.config.trust_remote_code and any(run.workspace.path("merged").glob("*.py")),
    )
    return model_card(run.workspace, facts, run.inputs.behaviour)


def write_card(run: Run, record: Record) -> None:
    """Writes the card of a finished run into its folder, if a model was merged there; none is loaded for it."""
    if not run.workspace.path("merged").is_dir():
        return
    config = json.loads(run.workspace.path("merged/config.json").read_text(encoding="utf-8"))
    dtype = str(config.get("dtype") or config["torch_dtype"])
    card = card_of(run, base_id(run.config.model, None), shared(record), dtype, dtype)
    run.workspace.write_text(CARD, card)
