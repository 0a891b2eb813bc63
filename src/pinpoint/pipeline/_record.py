"""`reproduce.json`: everything that a run came from, and digests of what came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import torch
from huggingface_hub import try_to_load_from_cache
from pydantic import BaseModel, ConfigDict, field_validator

from pinpoint.artifacts import file_digest
from pinpoint.behaviours import behaviour_of
from pinpoint.beyond import FURTHER
from pinpoint.config import RunConfig
from pinpoint.masking import masked, masked_values
from pinpoint.pipeline._environment import machine, versions
from pinpoint.pipeline._stages import done_stages

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

RECORD = "reproduce.json"

# What `from_pretrained` reads of a folder; a card or a data set beside it may change.
_MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "*.jinja",
)
_CODE_FILES = ("*.py",)
_UNCOMPARED = ("seconds", "provenance", "model")


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputFiles(_Stored):
    """Files that a run read: where they were, and the SHA-256 of each.

    Attributes:
        path: a file, a folder or a Hub id.
        revision: the commit, for a Hub id.
        files: digests, by path below `path`; by name where `path` is a file.
    """

    path: str
    revision: str | None = None
    files: dict[str, str]

    @field_validator("files")
    @classmethod
    def _below(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{name!r} lies outside its folder")
        return files


class Record(_Stored):
    """What `reproduce.json` holds.

    Attributes:
        config: the resolved settings, secrets masked.
        masked: dotted keys of the settings that were masked.
        seed: of everything random.
        versions: of Python, of this package and of the libraries.
        machine: where it ran, with the number of threads.
        inputs: what was read, by config key.
        results: SHA-256 of what came out, without times and paths.
        metrics: values by method and metric, to tell how far a rerun is off.
    """

    format: Literal[1] = 1
    command: Literal["run"] = "run"
    config: dict[str, Any]
    masked: list[str]
    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]
    inputs: dict[str, InputFiles]
    results: dict[str, str]
    metrics: dict[str, dict[str, float | None]]


def record_of(run: Run) -> Record:
    """Reads the inputs and results of a finished run."""
    settings = run.config.model_dump(mode="json")
    return Record(
        config=masked(settings),
        masked=list(masked_values(settings)),
        seed=run.config.seed,
        versions=versions(),
        machine=machine(run.device),
        inputs=masked_inputs(inputs_of(run.config)),
        results=_results(run),
        metrics=_metrics(run.workspace.read_json("summary.json")),
    )


def write_record(run: Run) -> Record:
    """Writes `reproduce.json` of a finished run."""
    record = record_of(run)
    run.workspace.write_json(RECORD, record.model_dump())
    return record


def masked_inputs(inputs: dict[str, InputFiles]) -> dict[str, InputFiles]:
    """The inputs with secrets in their paths masked."""
    return {key: InputFiles.model_validate(masked(one.model_dump())) for key, one in inputs.items()}


def inputs_of(config: RunConfig) -> dict[str, InputFiles]:
    """Every file that a run with these settings reads, by config key, with its SHA-256."""
    named = {
        **behaviour_of(config.behaviour).files(config.data),
        "data.abilities": config.data.abilities,
        "data.neutral": config.data.neutral,
        "data.passages": config.data.passages,
        **{f"data.{name}": getattr(config.data, name) for name in FURTHER},
        "full.search": config.full.search if config.full else None,
    }
    found = {"model": _model_input(config)}
    for key, path in named.items():
        if path and Path(path).exists():
            found[key] = InputFiles(path=path, files=digests_below(Path(path)))
    judge = config.judge.model if config.judge.local else None
    if judge and Path(judge).is_dir():
        found["judge.model"] = InputFiles(path=judge, files=model_digests(Path(judge)))
    return found


def digests_below(path: Path) -> dict[str, str]:
    """SHA-256 of a file, or of every file in a folder, by path below it."""
    if path.is_file():
        return {path.name: file_digest(path)}
    return {file.relative_to(path).as_posix(): file_digest(file) for file in sorted(path.rglob("*")) if file.is_file()}


def model_digests(folder: Path, *, code: bool = False) -> dict[str, str]:
    """SHA-256 of the files of a model's folder that loading it reads; with those of its own code, if that may run."""
    patterns = (*_MODEL_FILES, *_CODE_FILES) if code else _MODEL_FILES
    return {
        file.name: file_digest(file)
        for file in sorted(folder.iterdir())
        if file.is_file() and any(fnmatch(file.name, pattern) for pattern in patterns)
    }


def _model_input(config: RunConfig) -> InputFiles:
    folder, code = Path(config.model), config.trust_remote_code
    if folder.is_dir():
        return InputFiles(path=config.model, files=model_digests(folder, code=code))
    cached = try_to_load_from_cache(config.model, "config.json", revision=config.revision)
    if not isinstance(cached, str):
        return InputFiles(path=config.model, revision=config.revision or "main", files={})
    snapshot = Path(cached).parent
    return InputFiles(path=config.model, revision=snapshot.name, files=model_digests(snapshot, code=code))


def _results(run: Run) -> dict[str, str]:
    space = run.workspace
    files: dict[str, str] = {}
    for stage in done_stages(space).values():
        files |= stage["files"]

    def weights(prefix: str, suffix: str = ".safetensors") -> str:
        return _digest({name: one for name, one in files.items() if name.startswith(prefix) and name.endswith(suffix)})

    found = {
        "scores": _tensors(space.sub("locate").read_tensors("scores.safetensors")[0]),
        "ranking": _untimed(space.sub("locate").read_json("locate.json")),
        "knockout": _untimed(space.sub("verify").read_json("verify.json")),
        "training": _untimed(space.read_json("tune.json")),
        "adapter": files["adapter/adapter_model.safetensors"],
        "merged model": weights("merged/"),
        "transcripts": weights("evaluate/", ".jsonl"),
        "metrics": _untimed(space.read_json("summary.json")),
    }
    if space.sub("locate").has("nodes.json"):
        found["nodes"] = _tensors(space.sub("locate").read_tensors("nodes.safetensors")[0])
    return found | ({"fully tuned model": weights("full/merged/")} if run.config.full else {})


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    # Of the numbers: a safetensors file keeps its metadata in no fixed order.
    return _digest(
        {
            name: [str(one.dtype), list(one.shape), hashlib.sha256(one.numpy().tobytes()).hexdigest()]
            for name, one in tensors.items()
        }
    )


def _untimed(value: Any) -> str:
    def kept(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: kept(one) for key, one in part.items() if key not in _UNCOMPARED}
        return [kept(one) for one in part] if isinstance(part, list) else part

    return _digest(kept(value))


def _metrics(summary: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            metric: found["value"]
            for metric, found in (method | method["abilities"] | _flat(method.get("further", {}))).items()
            if isinstance(found, dict) and "value" in found
        }
        for name, method in summary["methods"].items()
    }


def _flat(further: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Measures of further sets by one name each: pressure.flipped."""
    return {f"{name}.{measure}": found for name, measured in further.items() for measure, found in measured.items()}
