"""Whether what a command is about to read is what the stages before it left."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pinpoint.artifacts import Workspace
from pinpoint.errors import ArtifactError
from pinpoint.pipeline._fingerprint import fingerprint
from pinpoint.pipeline._stages import LEFT, done_stages, key_of, left_by, needs

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_SHOWN = ("locate", "verify", "tune", "evaluate")
_COMMANDS = {"verify": "verify", "tune": "tune", "tune_full": "tune", "evaluate": "evaluate"}


def demand_before(run: Run, stage: str) -> None:
    """Refuses to begin a stage on results that are missing, of other settings or inputs, or damaged.

    Raises:
        ArtifactError: names the stage before it that has to be done again, and the command that does it.
    """
    for before in needs(run, stage):
        record = done_stages(run.workspace).get(before)
        if record is not None and record["key"] != key_of(run, before):
            folder = str(run.workspace.root)
            raise ArtifactError(
                f"stage {before!r} was done with other settings or inputs than the run has now (config.yaml), or by "
                "another version.",
                where=folder,
                mend=f"Undo the change, or do it again: {_command(run.workspace, before, run.config.model)}.",
            )
        demand_whole(run.workspace, before, run.config.model)


def demand_whole(space: Workspace, stage: str, model: str) -> None:
    """Refuses a stage that did not end, or whose files are not as it left them.

    Raises:
        ArtifactError: names the files.
    """
    record, again = done_stages(space).get(stage), _command(space, stage, model)
    if record is None:
        raise ArtifactError(f"stage {stage!r} is not done.", where=str(space.root), mend=f"Do it first: {again}.")
    now = space.digests_of(LEFT[stage])
    if changed := _changed(record["files"], now):
        raise ArtifactError(
            f"is not as stage {stage!r} left it: it was changed or damaged, or the stage was begun again and stopped.",
            where=", ".join(str(space.root / name) for name in changed[:3]),
            mend=f"Do it again: {again}.",
        )


def demand_base(space: Workspace, model: str) -> None:
    """Refuses a base that is not the model whose heads were tuned: its files were put in the place of that one's.

    A folder that was moved, or a run made on another machine, is no other model.

    Raises:
        ArtifactError: names the files.
    """
    was, now = done_stages(space)["tune"].get("base"), fingerprint(model)
    if isinstance(was, dict) and isinstance(now, dict) and was != now:
        files = ", ".join(sorted({name for name, _ in was.items() ^ now.items()}))
        raise ArtifactError(
            f"is not the model that the run tuned ({files}).",
            where=model,
            mend=f"Put that one back, or run this one in a folder of its own: `pinpoint run {shlex.quote(model)}`.",
        )


def demand_of_one_piece(space: Workspace, model: str) -> None:
    """Refuses to show stages on one page that are not of each other: an evaluation of an earlier tuning.

    Weights, which no page shows, are not read for it.

    Raises:
        ArtifactError: names both stages, or a file that was changed since; or a stage that is not done.
    """
    done = done_stages(space)
    if missing := [stage for stage in _SHOWN if stage not in done]:
        demand_whole(space, missing[0], model)
    keys = {name: record["key"] for name, record in done.items()} | done.get("locate", {}).get("read", {})
    for stage in filter(done.__contains__, LEFT):
        known = {name: digest for name, digest in done[stage]["files"].items() if not name.endswith(".safetensors")}
        again = _command(space, stage, model)
        if changed := _changed(known, space.digests_of(list(known))):
            raise ArtifactError(
                f"is not as stage {stage!r} left it: it was changed, or the stage was begun again and stopped.",
                where=", ".join(str(space.root / name) for name in changed[:3]),
                mend=f"Do it again: {again}.",
            )
        others = {name for name, key in done[stage].get("read", {}).items() if keys.get(name, key) != key}
        others |= {name for name, left in done[stage].get("of", {}).items() if left_by(space, name) != left}
        if others:
            raise ArtifactError(
                f"stage {stage!r} belongs to an earlier {min(others)!r} than the present one: a page would mix them.",
                where=str(space.root),
                mend=f"Do it again: {again}.",
            )


def other_settings(run: Run) -> list[str]:
    """The stages that were not done with the settings and inputs that the run has now."""
    done = done_stages(run.workspace)
    return [stage for stage in LEFT if stage in done and done[stage]["key"] != key_of(run, stage)]


def _changed(was: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))


def _command(space: Workspace, stage: str, model: str) -> str:
    folder = shlex.quote(str(space.root))
    if stage in _COMMANDS:
        return f"`pinpoint {_COMMANDS[stage]} {folder}`"
    settings = shlex.quote(str(space.root / "config.yaml"))
    return f"`pinpoint locate {shlex.quote(model)} --config {settings} --out {folder}`"
