"""Which stages of a run are done: what each depends on, and what it left behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinpoint._version import __version__
from pinpoint.artifacts import file_digest
from pinpoint.beyond import FURTHER
from pinpoint.config import ROLES
from pinpoint.data import in_normal_form
from pinpoint.errors import InputError
from pinpoint.pipeline._fingerprint import fingerprint
from pinpoint.pipeline._partial import begun, ended

if TYPE_CHECKING:
    from pinpoint.artifacts import Workspace
    from pinpoint.config import TuneConfig
    from pinpoint.pipeline._run import Run

TUNED = ("tune", "tune_full")
"""The stages whose models are evaluated."""
STAGES_RECORD = "stages.json"
_FILES = ("pairs", "train", "evaluation")  # of a user's behaviour: what is in them tells, and not where they lie
_GONE = "Put it there: without it nothing tells what was done with it."

LEFT = {
    "locate": (
        "locate/locate.json",
        "locate/scores.safetensors",
        "locate/nodes.json",
        "locate/nodes.safetensors",
        "locate/attention.safetensors",
    ),
    "verify": ("verify/verify.json",),
    "tune": (
        "tune.json",
        "adapter",
        "merged",
        "wrong_answers.json",
        "wrong_answers.jsonl",
        "explanations.json",
        "explanations.jsonl",
    ),
    "tune_full": ("full/tune.json", "full/merged", "search.json"),
    "evaluate": ("evaluate", "summary.json"),
}
"""What each stage writes, below the run folder; some of it only if asked."""


_LOOKED_AT = {
    **dict.fromkeys(("ranking", "locate"), ("locate",)),
    **dict.fromkeys(("verify", "tune", "tune_full", "sweep", "explanations", "wrong_answers"), ("locate", "train")),
}
"""The sets of questions that a stage looks at, where not at all of them."""
_TRAINED = ("tune", "tune_full", "sweep", "explanations", "wrong_answers")


def key_of(run: Run, stage: str) -> str:
    """Changes with everything that the result of a stage depends on: settings, files, the stages before it."""
    text = json.dumps(_dependencies(run, stage), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _dependencies(run: Run, stage: str) -> dict[str, Any]:
    config = run.config
    unused = set() if config.contrast == "neutral" else {"neutral_turn"}
    return {
        **model_told(run),
        "behaviour": config.behaviour.model_dump(mode="json", exclude={*_FILES, *unused}),
        "columns": config.data.columns and config.data.columns.model_dump(),
        **({"reasoned": config.data.reasoned} if config.data.reasoned else {}),
        # Pairs and training rows once asked every question in two turns: folders from then are another's.
        **({"asked": "as measured"} if config.contrast else {}),
        **_questions(run, stage),
        **_OWN[stage](run),
    }


def model_told(run: Run) -> dict[str, Any]:
    """What all that the base does depends on, as JSON values."""
    config, everywhere = run.config, ("revision", "dtype", "device", "device_map", "seed", "thinking", "template")
    return {
        "version": __version__,
        "model": model_identity(config.model),
        "settings": config.model_dump(mode="json", include={*everywhere})
        | ({"bits": config.bits} if config.bits else {})
        | ({"trust_remote_code": True} if config.trust_remote_code else {}),
    }


def _questions(run: Run, stage: str) -> dict[str, Any]:
    """Of the questions, what a stage looks at: what is in sets that other stages have of their own changes nothing."""
    data, files = run.config.data, run.inputs.behaviour.files(run.config.data)
    looked_at = ROLES if data.leave_out_shared else _LOOKED_AT.get(stage, ROLES)
    others = tuple(f"data.{role}." for role in data.sources if role not in looked_at)
    found: dict[str, Any] = {"questions": [_file(path) for key, path in files.items() if not key.startswith(others)]}
    if run.config.contrast:
        found["pair_characters"] = data.pair_characters
        found |= {"characters": data.characters} if data.characters else {}
        # Of a training set that is dealt, they bound what goes to validation too.
        trained = stage in _TRAINED or (stage == "verify" and "train" in data.sources)
        found |= {"dialogues": data.dialogues} if trained else {}
        # That a stage has a set of its own leaves the others larger shares of the questions that are dealt.
        if data.sources and (data.columns is not None or not in_normal_form(data.questions)):
            found["dealt_to"] = [role for role in ROLES if role not in data.sources]
    if taken := {role: some for role, some in data.taken().items() if role in looked_at}:
        found |= {"taken": taken, "leave_out_shared": data.leave_out_shared}
    return found


def _of_ranking(run: Run) -> dict[str, Any]:
    """What the scores and the ranking depend on, which the stages after it read."""
    config = run.config
    own = {"neutral": _file(config.data.neutral)} if config.locate.method == "knockout" else {}
    return {"locate": config.locate.model_dump(mode="json", exclude={"contrasts"}), **own}


def _of_locate(run: Run) -> dict[str, Any]:
    further = run.config.further_contrasts
    turn = getattr(run.config.behaviour, "neutral_turn", None) if "neutral" in further else None
    return {**_of_ranking(run), "contrasts": list(further), "neutral_turn": turn}


def _of_verify(run: Run) -> dict[str, Any]:
    config = run.config
    return {
        "locate": key_of(run, "ranking"),
        "verify": config.verify.model_dump(mode="json"),
        **_of_checks(run),
    }


def _of_tune(run: Run) -> dict[str, Any]:
    config = run.config
    named = isinstance(config.tune.heads, tuple)
    return {
        "before": None if named else key_of(run, "verify" if config.tune.heads == "auto" else "ranking"),
        "tune": _tuning(config.tune),
        "counts": config.sweep.counts if config.tune.heads == "validation" else None,
        **_of_choice(run),
    }


def _of_sweep(run: Run) -> dict[str, Any]:
    tune = _tuning(run.config.tune, "heads", "max_heads")
    return {"locate": key_of(run, "ranking"), "tune": tune, **_of_choice(run)}


def _of_full(run: Run) -> dict[str, Any]:
    full = run.config.full
    if full is None:
        return {"full": None}
    return {"full": full.model_dump(mode="json", exclude={"search"}), **_of_explanations(run), **_of_choice(run)}


def _of_explanations(run: Run) -> dict[str, Any]:
    source = run.config.tune.explanations
    tokens = run.config.tune.explanation_tokens if source == "model" else None
    return {"explanations": source, "tokens": tokens, **_of_wrong_answers(run)}


def _of_wrong_answers(run: Run) -> dict[str, Any]:
    return {"wrong_answers": run.config.tune.wrong_answers, "batch_size": run.config.evaluate.batch_size}


def _tuning(config: TuneConfig, *without: str) -> dict[str, Any]:
    unused = set() if config.explanations == "model" else {"explanation_tokens"}
    return config.model_dump(mode="json", exclude={"search", *unused, *without})


def _of_evaluate(run: Run) -> dict[str, Any]:
    config = run.config
    return {
        "tuned": [key_of(run, "tune"), key_of(run, "tune_full")],
        # Elsewhere, or on another device, the same settings tune to other weights.
        "left": {stage: left_by(run.workspace, stage) for stage in TUNED},
        "locate": key_of(run, "ranking"),
        "evaluate": config.evaluate.model_dump(
            mode="json", exclude=None if config.data.passages else {"passage_items", "passage_tokens"}
        ),
        "passages": _file(config.data.passages),
        "abilities": _file(config.data.abilities),
        "further": {name: _file(getattr(config.data, name)) for name in FURTHER},
        "judge": config.judge.asked | ({"model": None} if config.judge.local else {}),
        "judge_files": model_identity(config.judge.model or "") if config.judge.local else None,
        "neutral": _file(config.data.neutral),
    }


def _of_compared(run: Run) -> dict[str, Any]:
    """What the comparison asks: no further sets, no passages, and no judge but rules."""
    data = run.config.data
    return {
        "tuned": [key_of(run, stage) for stage in ("locate", "tune", "tune_full")],
        "abilities": _file(data.abilities),
        "neutral": _file(data.neutral),
    }


def _of_choice(run: Run) -> dict[str, Any]:
    """What checks while tuning depend on."""
    # They once asked neutral dialogues that models are evaluated on: folders from then are another's.
    return {"neutral_kept": "a sixth", **_of_checks(run)}


def _of_checks(run: Run) -> dict[str, Any]:
    """What the replies and divergences depend on that a stage measures on its way."""
    evaluation = run.config.evaluate.model_dump(mode="json", include={"batch_size", "max_new_tokens", "resamples"})
    return {"neutral": _file(run.config.data.neutral), "evaluation": evaluation}


_OWN: dict[str, Callable[["Run"], dict[str, Any]]] = {
    "ranking": _of_ranking,
    "locate": _of_locate,
    "verify": _of_verify,
    "tune": _of_tune,
    "sweep": _of_sweep,
    "tune_full": _of_full,
    "explanations": _of_explanations,
    "wrong_answers": _of_wrong_answers,
    "evaluate": _of_evaluate,
    "compared": _of_compared,
}


def model_identity(name: str) -> Any:
    """What tells one model from another, in JSON: on disk, files with their sizes and times; on the Hub, its name."""
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_absolute():
            raise InputError("no such folder of a model.", where=name, mend=_GONE)
        return name
    return [
        [path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(folder.iterdir()) if path.is_file()
    ]


def _file(name: str | None) -> Any:
    if name is None:
        return None
    path = Path(name)
    if not path.exists():
        raise InputError(
            "no such file or folder, which the settings of this run name.",
            where=name,
            mend=_GONE,
        )
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return [(file.relative_to(path).as_posix(), file_digest(file)) for file in files]
    return [(path.name, file_digest(path))]


def partial_of(run: Run, stage: str) -> Workspace:
    """Where a stage keeps what it has so far; what other settings left there goes."""
    return begun(run, stage, key_of(run, stage))


def needs(run: Run, stage: str) -> tuple[str, ...]:
    """The stages whose results a stage reads."""
    by_heads = {"auto": ("locate", "verify")}
    heads = run.config.tune.heads
    tune = () if isinstance(heads, tuple) else by_heads.get(str(heads), ("locate",))
    return {"verify": ("locate",), "tune": tune, "evaluate": ("locate", "tune", "tune_full")}.get(stage, ())


def done_stages(space: Workspace) -> dict[str, Any]:
    """What is recorded of the stages that are done, by name."""
    found: dict[str, Any] = space.read_json(STAGES_RECORD) if space.has(STAGES_RECORD) else {}
    return found


def left_by(space: Workspace, stage: str) -> str | None:
    """Changes with what a stage left; None where it is not done."""
    record = done_stages(space).get(stage)
    return record and hashlib.sha256(json.dumps(record["files"], sort_keys=True).encode()).hexdigest()


def settled(run: Run, stage: str) -> bool:
    """Whether the stage is done with these settings and inputs, and what it left is whole."""
    record = done_stages(run.workspace).get(stage)
    if record is None or record["key"] != key_of(run, stage):
        return False
    return bool(record["files"] == run.workspace.digests_of(LEFT[stage]))


def settle(run: Run, stage: str) -> None:
    """Records that the stage is done, and what it was made of."""
    space = run.workspace
    # Of locating, others read the ranking: further contrasts change the stage and not that.
    names = ("ranking" if name == "locate" else name for name in (*needs(run, stage), *({stage} & {"locate"})))
    read = {name: key_of(run, name) for name in names}
    entry = {
        "key": key_of(run, stage),
        "base": fingerprint(run.config.model),
        "read": read,
        "files": space.digests_of(LEFT[stage]),
        **({"of": {name: left_by(space, name) for name in TUNED}} if stage == "evaluate" else {}),
    }
    space.write_json(STAGES_RECORD, done_stages(space) | {stage: entry})
    clear(run, stage)


def clear(run: Run, stage: str) -> None:
    """Drops what the stage kept while it was not done; a process may end between its record and this."""
    ended(run, stage, key_of(run, stage))
