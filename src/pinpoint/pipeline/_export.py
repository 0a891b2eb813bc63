"""Exporting a run: adapter, merged model, card and record in one folder that needs nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pinpoint._version import __version__
from pinpoint.artifacts import file_digest, write_whole
from pinpoint.checks import CheckResult
from pinpoint.errors import ArtifactError, ConfigError, InputError
from pinpoint.models import is_quantised, load
from pinpoint.pipeline._card import CARD, base_id, card_of, shared
from pinpoint.pipeline._checks import EXPORT_LIMITS, demand_export, export_faithful
from pinpoint.pipeline._fidelity import Agreement, agreement
from pinpoint.pipeline._record import RECORD, record_of
from pinpoint.pipeline._served import whole_base
from pinpoint.pipeline._stages import LEFT
from pinpoint.storage import storing
from pinpoint.tune import put_on, save_model

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

MANIFEST = "export.json"

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def export_run(run: Run, out: Path, dtype: str = "auto", base: str | None = None) -> dict[str, Any]:
    """Writes the tuned model of a finished run to a folder of its own, whole or not at all.

    In the folder: the adapter in float32 and the merged model, each with the tokenizer, in `adapter/` and `merged/`;
    the model card; `reproduce.json`; and `export.json` with the measured agreement and the digest of every file. In
    the run's own dtype, the merged weights are those that were evaluated, to the bit; in another, the same ones cast.

    Args:
        run: a run whose stages are all done.
        out: where to; must not exist, or be empty.
        dtype: of the merged model: "auto" (the run's), "bfloat16", "float16" or "float32".
        base: the base's Hub id, where the run was made from a local copy.

    Returns:
        The content of `export.json`.

    Raises:
        InputError: `out` is not empty, the dtype is unknown, or `base` is not a Hub id.
        ArtifactError: a stage of the run is missing, or stale, or its files were changed.
        ExportRefused: the merged model, read back, does not say what the live adapter says.
    """
    if dtype != "auto" and dtype not in _DTYPES:
        raise ConfigError(f"{dtype!r} is unknown.", where="--dtype", mend=f"Use auto, {', '.join(_DTYPES)}.")
    named = base_id(run.config.model, base)
    demand_empty(out)
    _demand_finished(run)
    with _whole_folder(out) as folder:
        wanted = run.model.dtype if dtype == "auto" else _DTYPES[dtype]
        run.progress.say("writing the adapter and the merged model")
        _write_adapter(run, folder, named)
        _write_merged(run, folder, wanted)
        found = _measure(run, folder)
        limits = EXPORT_LIMITS[max(run.model.dtype, wanted, key=_coarseness)]
        checked = demand_export(export_faithful(found, limits))
        record = shared(record_of(run))
        write_whole(folder / RECORD, _as_json(record.model_dump()))
        dtypes = _name(wanted), _name(run.model.dtype)
        write_whole(folder / CARD, card_of(run, named, record, *dtypes, found.model_dump()).encode())
        manifest = _manifest(run, folder, named, wanted, found, checked)
        write_whole(folder / MANIFEST, _as_json(manifest))
    return manifest


def demand_empty(out: Path) -> None:
    """Refuses a target that holds something.

    Raises:
        InputError: it does, or it is a file.
    """
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        what = "is not empty" if out.is_dir() else "exists and is not a folder"
        raise InputError(f"{what}.", where=str(out), mend="Give another folder with --out, or remove this one.")


def _demand_finished(run: Run) -> None:
    for stage in LEFT:
        if not run.is_done(stage):
            raise ArtifactError(
                f"stage {stage!r} is missing, was made with other settings or inputs, or its files were changed.",
                where=str(run.workspace.root),
                mend="`pinpoint run` with the same --out does again what is needed.",
            )
    if not run.workspace.path("merged").is_dir():
        raise ArtifactError(
            "the run has no merged model: the checkpoint that it tuned is quantised.",
            where=str(run.workspace.root),
            mend="Hand on `adapter/`, a plain PEFT LoRA; or tune what it was quantised from, with --bits.",
        )


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    partial = out.absolute().with_name(f".{out.absolute().name}.partial")
    new = [path for path in partial.parents if not path.exists()]
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"no folder can be made: {error.strerror}.", where=str(out), mend="Give another --out."
        ) from error
    try:
        with storing(out):
            yield partial
            if out.is_dir():
                out.rmdir()
            partial.replace(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            for path in new:
                path.rmdir()
        raise


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _coarseness(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps


def _write_adapter(run: Run, folder: Path, base: str | None) -> None:
    # Not at the root, where Hub repositories of adapters have it: transformers would load it instead of `merged/`.
    shutil.copytree(run.workspace.path("adapter"), folder / "adapter", ignore=shutil.ignore_patterns(CARD))
    path = folder / "adapter" / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    # A path of this machine would tell who made the export, and nothing to who loads it.
    settings |= {"base_model_name_or_path": base, "revision": run.config.revision if base == run.config.model else None}
    write_whole(path, _as_json(settings))


def _write_merged(run: Run, folder: Path, dtype: torch.dtype) -> None:
    merged = run.workspace.path("merged")
    if dtype == run.model.dtype:
        shutil.copytree(merged, folder / "merged")
        return
    loaded = load(merged, _name(dtype), "cpu", trust_remote_code=run.config.trust_remote_code)
    save_model(loaded.model, loaded.tokenizer, folder / "merged")


def _measure(run: Run, folder: Path) -> Agreement:
    run.progress.say("holding the exported model to the live adapter")
    config, base, device_map = run.config, run.model, run.config.device_map
    if is_quantised(base):
        # What is merged is not quantised: it is held to the adapter over the base that it was merged into.
        device_map = device_map or "auto"
        base = whole_base(config, config.device, device_map).model
    exported = load(
        folder / "merged",
        "auto",
        config.device,
        device_map=device_map,
        trust_remote_code=config.trust_remote_code,
    )
    return agreement(run, put_on(base, folder / "adapter"), exported)


def _manifest(
    run: Run, folder: Path, base: str | None, dtype: torch.dtype, found: Agreement, checked: CheckResult
) -> dict[str, Any]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {
        "format": 1,
        "pinpoint": __version__,
        "base": base,
        "dtype": _name(dtype),
        "run": source_of(run),
        "agreement": found.model_dump(),
        "checks": [checked.model_dump()],
        "files": {
            name: {"bytes": (folder / name).stat().st_size, "sha256": file_digest(folder / name)} for name in names
        },
    }


def source_of(run: Run) -> dict[str, str]:
    """What tells the tuning and the numbers that an export was made of from later ones."""
    return {
        "adapter": file_digest(run.workspace.path("adapter/adapter_model.safetensors")),
        "summary": file_digest(run.workspace.path("summary.json")),
    }


def _as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
