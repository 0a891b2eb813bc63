"""Which stages of a run are done: what each depends on, and what it left behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinpoint._version import __version__
from pinpoint.artifacts import file_digest
from pinpoint.beyond import FURTHER

if TYPE_CHECKING:
    from pinpoint.artifacts import Workspace
    from pinpoint.pipeline._run import Run

_RECORD = "stages.json"

LEFT = {
    "locate": (
        "locate/locate.json",
        "locate/scores.safetensors",
        "locate/nodes.json",
        "locate/nodes.safetensors",
        "locate/attention.safetensors",
    ),
    "verify": ("verify/verify.json",),
    "tune": ("tune.json", "adapter", "merged"),
    "tune_full": ("full/tune.json", "full/merged", "search.json"),
    "evaluate": ("evaluate", "summary.json"),
}
"""What each stage writes, below the run folder; some of it only if asked."""


def key_of(run: Run, stage: str) -> str:
    """Changes with everything that the result of a stage depends on: settings, files, the stages before it."""
    text = json.dumps(_dependencies(run, stage), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _dependencies(run: Run, stage: str) -> dict[str, Any]:
    config = run.config
    common = {
        "version": __version__,
        "model": _model(config.model),
        "settings": config.model_dump(
            mode="json", include={"revision", "dtype", "device", "seed", "thinking", "behaviour"}
        ),
        # Where weights lie changes rounding at most; keys of runs without it stay what they were.
        **({"device_map": config.device_map} if config.device_map else {}),
        "columns": config.data.columns and config.data.columns.model_dump(),
        "questions": [_file(path) for path in run.inputs.behaviour.files(config.data).values()],
    }
    evaluation = config.evaluate.model_dump(mode="json", include={"batch_size", "max_new_tokens"})
    if stage == "locate":
        return common | {"locate": config.locate.model_dump(mode="json")}
    if stage == "verify":
        return common | {
            "locate": key_of(run, "locate"),
            "verify": config.verify.model_dump(mode="json"),
            "neutral": _file(config.data.neutral),
            "evaluation": evaluation,
            "resamples": config.evaluate.resamples,
        }
    if stage == "tune":
        named = isinstance(config.tune.heads, tuple)
        before = None if named else key_of(run, "verify" if config.tune.heads == "auto" else "locate")
        swept = {"counts": config.sweep.counts} if config.tune.heads == "validation" else {}
        return (
            common
            | swept
            | {
                "before": before,
                "tune": config.tune.model_dump(mode="json", exclude={"search"}),
                "neutral": _file(config.data.neutral),
                "evaluation": evaluation,
            }
        )
    if stage == "sweep":
        tune = config.tune.model_dump(mode="json", exclude={"search", "heads", "max_heads"})
        return common | {
            "locate": key_of(run, "locate"),
            "tune": tune,
            "neutral": _file(config.data.neutral),
            "evaluation": evaluation,
        }
    if stage == "tune_full":
        full = config.full.model_dump(mode="json") if config.full else None
        return common | {"full": full, "neutral": _file(config.data.neutral), "evaluation": evaluation}
    return common | {
        "tuned": [key_of(run, "tune"), key_of(run, "tune_full")],
        "locate": key_of(run, "locate"),
        "evaluate": config.evaluate.model_dump(mode="json"),
        "abilities": _file(config.data.abilities),
        "further": {name: _file(getattr(config.data, name)) for name in FURTHER},
        "judge": config.judge.model_dump(mode="json", include={"kind", "model", "endpoint"}),
        **({"judge_files": _model(config.judge.model or "")} if config.judge.local else {}),
        "neutral": _file(config.data.neutral),
    }


def _model(name: str) -> Any:
    """What tells one model from another: on disk, its files with their sizes and times; on the Hub, its name."""
    folder = Path(name)
    if not folder.is_dir():
        return name
    return [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.iterdir()) if path.is_file()
    ]


def _file(name: str | None) -> Any:
    if name is None:
        return None
    path = Path(name)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [(file.name, file_digest(file)) for file in files if file.is_file()]


def partial_of(run: Run, stage: str) -> Workspace:
    """Where a stage keeps what it has so far; what other settings left there goes."""
    space, name = run.workspace.sub("partial"), f"{stage}-{key_of(run, stage)[:16]}"
    for path in space.root.glob(f"{stage}-*"):
        if path.name != name:
            space.drop(path.name)
    return space.sub(name)


def settled(run: Run, stage: str) -> bool:
    """Whether the stage is done with these settings and inputs, and what it left is whole."""
    space = run.workspace
    record = space.read_json(_RECORD).get(stage) if space.has(_RECORD) else None
    if record is None or record["key"] != key_of(run, stage):
        return False
    return bool(record["files"] == space.digests_of(LEFT[stage]))


def settle(run: Run, stage: str) -> None:
    """Records that the stage is done."""
    space = run.workspace
    known = space.read_json(_RECORD) if space.has(_RECORD) else {}
    space.write_json(_RECORD, known | {stage: {"key": key_of(run, stage), "files": space.digests_of(LEFT[stage])}})
    space.drop(f"partial/{stage}-{key_of(run, stage)[:16]}")
