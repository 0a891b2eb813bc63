"""Running a recorded run again, from the same inputs, and comparing what comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import snapshot_download
from pydantic import ValidationError

from pinpoint.addresses import rooted
from pinpoint.artifacts import file_digest
from pinpoint.config import RunConfig, parse_config
from pinpoint.errors import ArtifactError, InputError, first_line
from pinpoint.pipeline._environment import machine, versions
from pinpoint.pipeline._record import RECORD, InputFiles, Record, digests_below, record_of
from pinpoint.pipeline._run import Run
from pinpoint.progress import Progress

_MARK = "reproduces.json"


class ResultRow(NamedTuple):
    """A result's digest, recorded and of the rerun."""

    name: str
    recorded: str
    here: str

    @property
    def equal(self) -> bool:
        """Whether they are the same to the bit."""
        return self.recorded == self.here


class MetricRow(NamedTuple):
    """A metric whose value differs."""

    method: str
    metric: str
    recorded: float | None
    here: float | None


class Reproduction(NamedTuple):
    """What a rerun came to, beside its record."""

    folder: Path
    differing: list[str]
    results: list[ResultRow]
    metrics: list[MetricRow]

    @property
    def equal(self) -> bool:
        """Whether every result is the same to the bit."""
        return all(row.equal for row in self.results)


def read_record(path: Path) -> Record:
    """Reads a `reproduce.json`.

    Raises:
        InputError: there is none, or it is not of that form.
    """
    if path.is_dir():
        path = path / RECORD
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(
            f"{reason}.", where=str(path), mend=f"Give the {RECORD} that a finished run left in its folder."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(
            f"is no record of a run: {key + ': ' if key else ''}{first['msg'][0].lower()}{first['msg'][1:]}.",
            where=str(path),
            mend=f"Give the {RECORD} that a finished run left in its folder, unchanged.",
        ) from error


def restored(record: Record, where: str, search: Sequence[Path], *, trust_remote_code: bool = False) -> RunConfig:
    """The recorded settings, with every input found and held to its digests.

    Args:
        record: it.
        where: where it was read, for messages.
        search: folders in which an input that is not where it was is looked for by name.
        trust_remote_code: whether the model's own code may run, if the record says that it did.

    Raises:
        InputError: an input is missing or was changed, which is named; a setting was masked, being a secret; or the
            model's own code ran and may not run here.
    """
    # A record may be anybody's: what it says is no permission.
    if record.config.get("trust_remote_code", False) is not False and not trust_remote_code:
        raise InputError(
            "its run ran code that came with the model; no record can ask that of this machine.",
            where=where,
            mend="Read the model's code; if you trust it, say so with --trust-remote-code.",
        )
    if record.masked:
        raise InputError(
            f"{', '.join(record.masked)}: held a secret, which the record does not keep.",
            where=where,
            mend="Run again with `pinpoint run` and the settings from the record's config.",
        )
    config: dict[str, Any] = json.loads(json.dumps(record.config))
    for key, one in record.inputs.items():
        if one.revision is None:
            _put(config, key, _found(key, one, search), where)
        else:
            _demand_hub(one)
            config["revision"] = one.revision
    # Where it ran on a CPU, a GPU that this machine has besides would change every sum.
    if record.machine.get("device") == "cpu":
        config["device"] = "cpu"
    return parse_config(config, where)


def _put(config: dict[str, Any], key: str, value: str, where: str) -> None:
    *above, last = key.split(".")
    section: Any = config
    for name in above:
        # A set of questions goes by its number.
        section = dict(enumerate(section)).get(int(name)) if isinstance(section, list) else (section or {}).get(name)
    if not isinstance(section, dict) or last not in section:
        raise InputError(
            f"is no record of a run: its settings lack {key!r}, which its inputs name.",
            where=where,
            mend="Give the reproduce.json that a finished run left.",
        )
    section[last] = value


def _found(key: str, one: InputFiles, search: Sequence[Path]) -> str:
    name = Path(one.path).name
    places = [Path(one.path), *(folder / name for folder in search), *(one for one in search if one.name == name)]
    there = [place for place in dict.fromkeys(places) if place.exists()]
    if not there:
        raise InputError(
            f"{key} is missing: no such file or folder.",
            where=one.path,
            mend=f"Put {name} there, or beside the record.",
        )
    problems = [_changed(place, one, whole=key not in ("model", "judge.model")) for place in there]
    for place, problem in zip(there, problems, strict=True):
        if not problem:
            return rooted(place)
    raise InputError(
        f"{key} is not what the run read: {problems[0]}.", where=str(there[0]), mend="Bring back the file as it was."
    )


def _changed(place: Path, one: InputFiles, *, whole: bool) -> str:
    """What of the input differs at a place; nothing where it is the same. `whole`: other files beside it count."""
    here = digests_below(place) if whole else {}
    for name, digest in one.files.items():
        file = place if place.is_file() else place / name
        if not file.is_file():
            return f"{name} is missing"
        now = here.get(name) or file_digest(file)
        if now != digest:
            return f"{name} was changed (SHA-256 {digest[:12]}… recorded, {now[:12]}… here)"
    more = sorted(here.keys() - one.files.keys()) if place.is_dir() else []
    return f"{more[0]} was not there" if more else ""


def _demand_hub(one: InputFiles) -> None:
    try:
        folder = Path(snapshot_download(one.path, revision=one.revision, allow_patterns=list(one.files)))
    except Exception as error:
        # The library raises its own kinds, the HTTP client's, and OSError for want of a network.
        raise InputError(
            f"is not available at {one.revision}: {first_line(str(error)) or type(error).__name__}",
            where=one.path,
            mend="Try online.",
        ) from error
    if problem := _changed(folder, one, whole=False):
        raise InputError(
            f"model is not what the run read: {problem}.", where=one.path, mend="Give the model's files as they were."
        )


def differences(record: Record, config: RunConfig) -> list[str]:
    """Versions and traits of the machine that are not as recorded, in words."""
    now = versions() | machine(config.device)
    return [
        f"{name}: {was} recorded, {now.get(name, 'none')} here"
        for name, was in (record.versions | record.machine).items()
        if now.get(name) != was
    ]


def reproduce(record: Record, config: RunConfig, out: Path, progress: Progress) -> Reproduction:
    """Runs all stages again in a folder of its own, with as many threads, and compares digests.

    Args:
        record: what was recorded.
        config: its settings, as `restored` gives them.
        out: the folder; one that an interrupted call with the same record left is gone on with.
        progress: told of everything.

    Raises:
        InputError: the folder holds something else.
    """
    threads = record.machine.get("threads")
    if isinstance(threads, int) and threads > 0:
        torch.set_num_threads(threads)
    run = Run(config, out, progress)
    _mark(run, record)
    differing = differences(record, config)
    for line in differing:
        progress.say(f"differs: {line}")
    run.all()
    here = record_of(run)
    return Reproduction(out, differing, _result_rows(record, here), _metric_rows(record, here))


def _mark(run: Run, record: Record) -> None:
    space, mark = run.workspace, {"reproduces": record.results}
    held = [path.name for path in space.root.iterdir() if path.name != ".lock"] if space.root.is_dir() else []
    try:
        marked = space.has(_MARK) and space.read_json(_MARK) == mark
    except ArtifactError:
        marked = False
    if held and not marked:
        # The stages of another run would be taken for done, and compared with themselves.
        raise InputError("is not empty.", where=str(space.root), mend="Give another folder with --out.")
    space.write_json(_MARK, mark)


def _result_rows(record: Record, here: Record) -> list[ResultRow]:
    names = dict.fromkeys([*record.results, *here.results])
    return [ResultRow(name, record.results.get(name, "none"), here.results.get(name, "none")) for name in names]


def _metric_rows(record: Record, here: Record) -> list[MetricRow]:
    return [
        MetricRow(method, metric, was, here.metrics.get(method, {}).get(metric))
        for method, metrics in record.metrics.items()
        for metric, was in metrics.items()
        if here.metrics.get(method, {}).get(metric) != was
    ]
