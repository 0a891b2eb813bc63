"""Evaluating a model behind an endpoint: the same items, transcripts and measures as in a run, by replies alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.checks import enough_items
from pinpoint.config import RunConfig
from pinpoint.endpoint import Endpoint
from pinpoint.errors import ConfigError
from pinpoint.evaluate import evaluate_replies, metrics
from pinpoint.measure import RemoteChat, judge_of, replies_english, tally
from pinpoint.models import Loaded, load
from pinpoint.pipeline._checks import limit_kept, prompts_whole, replies_end, replies_whole
from pinpoint.pipeline._evaluation import item_counts, thoughts_without_end, to_challenges, turns_cut, write_transcripts
from pinpoint.pipeline._folders import digest_of
from pinpoint.pipeline._inputs import Inputs
from pinpoint.pipeline._record import digests_below
from pinpoint.pipeline._stages import model_identity
from pinpoint.pipeline._thought_checks import thoughts_end
from pinpoint.progress import Progress

_SUMMARY, _ASKED, _REPLIES = "summary.json", "asked.json", "replies.jsonl"
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
    inputs.check_judge()
    sets, behaviour = inputs.sets(neutral=False), inputs.behaviour
    asked = _asked(config, inputs) | {"url": endpoint.url}
    _same_as_before(space, asked)
    with _recorded(space, asked):
        chat = RemoteChat(endpoint, config.evaluate.max_new_tokens, journal=space.journal(_REPLIES))

        def local(name: str) -> Loaded:
            return load(name, config.dtype, config.device, None, config.device_map)

        judge = judge_of(config.judge, local, space.journal("judge.jsonl"))
        found = evaluate_replies(chat, sets, config.evaluate, behaviour, progress, config.model, judge)
    inputs.list_unusable(space)
    write_transcripts(space.sub("evaluate").sub(_METHOD), found)
    measured = metrics(found, behaviour, config.evaluate, config.seed)
    del measured["kl"]
    whole = replies_whole({_METHOD: found.further}, config.evaluate.max_new_tokens)
    few = enough_items({_METHOD: item_counts(measured, behaviour)})
    ended = replies_end({_METHOD: turns_cut(found.played)}, config.evaluate.max_new_tokens)
    checks = [few, limit_kept(chat.over, config.evaluate.max_new_tokens), prompts_whole(chat.short), ended, whole]
    if (counts := thoughts_without_end(found.played)) is not None:
        checks.append(thoughts_end({_METHOD: counts}, config.evaluate.max_new_tokens))
    if config.judge.kind != "model" and (replies := to_challenges(found.played)):
        checks.append(replies_english(replies))
    for check in checks:
        if not check.ok:
            progress.say(check.warning)
    summary = {
        "model": config.model,
        "endpoint": endpoint.url,
        "methods": {_METHOD: measured},
        "judge": tally(judge),
        "checks": [check.model_dump() for check in checks],
        "asked": asked,
    }
    space.write_json(_SUMMARY, summary)
    return summary


def _asked(config: RunConfig, inputs: Inputs) -> dict[str, Any]:
    """What the replies depend on."""
    named = {**inputs.behaviour.files(config.data), "data.abilities": config.data.abilities}
    named |= {f"data.{name}": getattr(config.data, name) for name in inputs.further}
    files = {key: digests_below(Path(name)) for key, name in named.items() if name and Path(name).exists()}
    settings = config.model_dump(mode="json", include={"model", "seed", "behaviour"})
    if config.data.sources:
        settings["taken"] = config.data.taken() | {"leave_out_shared": config.data.leave_out_shared}
    sizes = {"items", "ability_items", "further_items", "turns", "max_new_tokens"}
    return settings | {
        "files": files,
        "columns": config.data.columns and config.data.columns.model_dump(mode="json", exclude={"explanation"}),
        **({"reasoned": list(config.data.reasoned)} if config.data.reasoned else {}),
        **({"characters": config.data.characters} if config.data.characters else {}),
        "evaluate": config.evaluate.model_dump(mode="json", include=sizes),
        "judge": config.judge.asked,
        **({"judge_files": model_identity(config.judge.model or "")} if config.judge.local else {}),
    }


@contextmanager
def _recorded(space: Workspace, asked: dict[str, Any]) -> Iterator[None]:
    """Has the folder say what is asked for before anything is; where no reply came, it stays as it was."""
    new = not space.has(_ASKED)
    space.write_json(_ASKED, asked)
    try:
        yield
    except BaseException:
        if new and not space.path(_REPLIES).is_file():
            space.drop(_ASKED)
            space.drop("digests.json")
        raise


def _same_as_before(space: Workspace, asked: dict[str, Any]) -> None:
    if space.path("config.yaml").is_file():
        raise ConfigError("holds a run.", where=str(space.root), mend="Give another folder with --out.")
    before = space.read_json(_ASKED) if space.has(_ASKED) else asked
    changed = [key for key in {**before, **asked} if before.get(key) != asked.get(key)]
    if changed:
        raise ConfigError(
            f"holds an evaluation with other settings: {', '.join(changed)}.",
            where=str(space.root),
            mend="Give another folder with --out.",
        )
