"""Evaluating a model behind an endpoint: the same items, transcripts and measures as in a run, by replies alone."""

import re
from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace, file_digest
from pinpoint.config import RunConfig
from pinpoint.endpoint import Endpoint
from pinpoint.errors import ConfigError
from pinpoint.evaluate import evaluate_replies, metrics
from pinpoint.measure import RemoteChat, judge_of, local_chat
from pinpoint.pipeline._evaluation import write_transcripts
from pinpoint.pipeline._inputs import Inputs
from pinpoint.pipeline._settings import digest_of
from pinpoint.progress import Progress

_SUMMARY = "summary.json"
_METHOD = "endpoint"


def endpoint_folder(config: RunConfig, out: Path | None) -> Path:
    """The folder given, or one under runs/ that equal settings find again."""
    name = re.sub(r"[^\w.-]+", "-", config.model)
    return out or Path("runs") / name / f"endpoint-{digest_of(config)}"


def evaluate_endpoint(config: RunConfig, endpoint: Endpoint, folder: Path, progress: Progress) -> dict[str, Any]:
    """Has a model behind an endpoint reply to the behaviour's test items and the abilities, and measures the replies.

    Replies are kept as they come in: a further call goes on from them, or does with them alone.

    Args:
        config: the settings of a run; those of locating and tuning are not used.
        endpoint: where the model is asked.
        folder: where transcripts, as a run's, and `summary.json` go.
        progress: told of each part.

    Raises:
        ConfigError: the folder holds a run, or an evaluation with other settings.
        PinpointError: as `Endpoint.chat`.
    """
    inputs, space = Inputs(config, progress), Workspace(folder)
    sets, behaviour = inputs.sets(neutral=False), inputs.behaviour
    asked = _asked(config, inputs) | {"url": endpoint.url}
    _same_as_before(space, asked)
    chat = RemoteChat(endpoint, config.evaluate.max_new_tokens, journal=space.journal("replies.jsonl"))
    judge = judge_of(config.judge, local_chat, space.journal("judge.jsonl"))
    found = evaluate_replies(chat, sets, config.evaluate, behaviour, progress, config.model, judge)
    inputs.list_unusable(space)
    write_transcripts(space.sub("evaluate").sub(_METHOD), found)
    measured = metrics(found, behaviour, config.evaluate, config.seed)
    del measured["kl"]
    summary = {"model": config.model, "endpoint": endpoint.url, "methods": {_METHOD: measured}, "asked": asked}
    space.write_json(_SUMMARY, summary)
    return summary


def _asked(config: RunConfig, inputs: Inputs) -> dict[str, Any]:
    """What the replies depend on."""
    further = [getattr(config.data, name) for name in inputs.further]
    files = [*inputs.behaviour.files(config.data).values(), config.data.abilities, *further]
    digests = {Path(name).name: file_digest(Path(name)) for name in files if name and Path(name).is_file()}
    settings = config.model_dump(mode="json", include={"model", "seed", "behaviour", "judge"})
    sizes = config.evaluate.model_dump(
        mode="json", include={"items", "ability_items", "further_items", "turns", "max_new_tokens"}
    )
    return {"files": digests, "evaluate": sizes} | settings


def _same_as_before(space: Workspace, asked: dict[str, Any]) -> None:
    if space.path("config.yaml").is_file():
        raise ConfigError("holds a run.", where=str(space.root), mend="Give another folder with --out.")
    before = space.read_json(_SUMMARY)["asked"] if space.has(_SUMMARY) else asked
    changed = [key for key in asked if before.get(key) != asked[key]]
    if changed:
        raise ConfigError(
            f"holds an evaluation with other settings: {', '.join(changed)}.",
            where=str(space.root),
            mend="Give another folder with --out.",
        )
