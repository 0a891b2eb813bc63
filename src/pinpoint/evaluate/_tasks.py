"""Tasks of lm-eval: found by name, held to consent where they run code, and loaded."""

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pinpoint.artifacts import Workspace
from pinpoint.errors import InputError, first_line

PRESETS = {
    "paper": ("commonsense_qa", "bigbench_strategyqa_multiple_choice", "gsm8k", "humaneval_instruct", "mmlu"),
    "quick": ("arc_easy", "piqa"),
}
"""`paper`: what Chen et al. 2024 report; StrategyQA as BIG-bench asks it, HumanEval as chat models are asked."""

_ALLOWS_CODE = "HF_ALLOW_CODE_EVAL"


class Tasks(NamedTuple):
    """Tasks that lm-eval has loaded.

    Attributes:
        names: lm-eval's.
        loaded: its objects: tasks, and groups of them.
        manager: its index.
        run_code: consent to run code that the model writes.
        digests: of each object, by its name, all that its scores depend on beside the model.
    """

    names: tuple[str, ...]
    loaded: list[Any]
    manager: Any
    run_code: bool
    digests: Mapping[str, str]


class Asked(NamedTuple):
    """A text of an item that a task scores a model on.

    Attributes:
        place: the task, and the item's number in it, from 0, as `samples` of lm-eval have it.
        text: what the model is asked, or a field of the item.
    """

    place: str
    text: str

    @property
    def id(self) -> str:
        """The item: its texts share it."""
        return self.place


def find_tasks(tasks: str, include: Path | None = None, *, run_code: bool = False) -> Tasks:
    """Finds tasks in a folder and among lm-eval's own, and loads them with their data.

    Args:
        tasks: a preset, or lm-eval's names of tasks, groups or tags with commas.
        include: a folder of task files in lm-eval's YAML; theirs come before lm-eval's own of the same name.
        run_code: consent to run code that the model writes, on this machine, as HumanEval does.

    Raises:
        InputError: lm-eval is not installed; a task is unknown, runs code without consent, or cannot be loaded.
    """
    names = tuple(dict.fromkeys(PRESETS.get(tasks, [name.strip() for name in tasks.split(",") if name.strip()])))
    if not names:
        raise InputError("names no task.", where="--tasks", mend=f"Give {', '.join(PRESETS)}, or lm-eval's names.")
    try:
        import lm_eval.tasks  # noqa: F401
    except ImportError as error:
        raise InputError(
            "lm-eval is not installed.", mend="Install it: pip install 'pinpoint-tuning[capability]'."
        ) from error
    if include is not None and not include.is_dir():
        raise InputError("no such folder.", where=f"--include {include}", mend="Give one with lm-eval's YAML files.")
    manager = _manager(names, include)
    for name in names:
        _known(manager, name)
        # Before lm-eval loads it: the files of such tasks run code as they are imported.
        if not run_code and (unsafe := next(_running_code(manager, name), None)):
            within = "" if unsafe == name else f", in {name},"
            raise InputError(
                f"the task {unsafe}{within} runs code that the model writes, on this machine.",
                where="--tasks",
                mend="Leave it out, or consent with --run-code, in a container.",
            )
    with code_allowed(run_code), warnings_heard():
        loaded = _load(manager, names)
        # Before anything runs: lm-eval writes into the settings of tasks as it goes.
        digests = {name_of(one): _digest(one, include, run_code=run_code) for one in loaded}
        return Tasks(names, loaded, manager, run_code, digests)


def asked_by(tasks: Tasks, limit: int | None = None) -> list[Asked]:
    """What tasks ask, item by item: as they put it, and each text of the item by itself.

    What is put around a short question would hide that it is the same as another one.

    Args:
        tasks: what `find_tasks` returns.
        limit: items of each task at the most, the first ones, as lm-eval takes them.

    Raises:
        InputError: a task cannot put its items into words.
    """
    found: dict[Asked, None] = {}
    for task in (inner for one in tasks.loaded for inner in _single(one)):
        for number, doc in enumerate(islice(task.eval_docs, limit)):
            try:
                worded = task.doc_to_text(doc)
            # A task's own function or template: it may fail in any way.
            except Exception as error:
                raise cannot_run(task, error) from error
            place = f"lm-eval's {name_of(task)}, item {number}"
            for text in (worded, *doc.values()):
                if isinstance(text, str):
                    found[Asked(place, text)] = None
    return list(found)


def cannot_run(task: Any, error: Exception) -> InputError:
    """What to tell where a task of lm-eval fails."""
    return InputError(
        f"lm-eval cannot run it: {reason_of(error)}.",
        where=f"--tasks {name_of(task)}",
        mend="Try it with --limit 1: the task's own file may be at fault.",
    )


def _single(task: Any) -> list[Any]:
    """The tasks of a group; a task by itself."""
    return [task] if hasattr(task, "task_name") else list(task.get_all_tasks())


def name_of(task: Any) -> str:
    """The name of an object of lm-eval: a task, or a group of them."""
    return str(getattr(task, "task_name", None) or task.name)


def _digest(task: Any, include: Path | None, *, run_code: bool) -> str:
    """Changes with settings, functions, items and examples of a task, or of those of a group."""
    single = hasattr(task, "task_name")
    told = {
        "lm_eval": version("lm_eval"),
        "run_code": run_code,
        "files": _files(include) if include else {},
        "groups": [
            (one.name, one.aggregate_metric_list, one.child_names)
            for one in ([] if single else [task, *task.get_all_groups()])
        ],
        "tasks": [
            # Its `dump_config` tells a partial by its address.
            (one.config.to_dict(keep_callable=True), list(one.eval_docs), _examples(one))
            for one in _single(task)
        ],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=_stable).encode()).hexdigest()


def _stable(value: Any) -> Any:
    """What tells a value in every process alike: functions by what they do, not by where they lie in memory."""
    if isinstance(value, partial):
        return [_stable(value.func), value.args, value.keywords]
    if not callable(value):
        return str(value)
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"


def _files(folder: Path) -> dict[str, str]:
    """Digests of a folder's files, but for what Python leaves there as lm-eval imports them."""
    found = Workspace(folder).digests_of(["."])
    return {name: digest for name, digest in found.items() if "__pycache__" not in Path(name).parts}


def _examples(task: Any) -> list[Any]:
    """What examples before an item are drawn from."""
    return list(task.fewshot_docs() or ()) if task.config.num_fewshot else []


@contextmanager
def code_allowed(run_code: bool) -> Iterator[None]:
    """Says to metrics that run code whether they may, whatever the environment says."""
    before = os.environ.pop(_ALLOWS_CODE, None)
    if run_code:
        os.environ[_ALLOWS_CODE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_ALLOWS_CODE, None)
        if before is not None:
            os.environ[_ALLOWS_CODE] = before


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """Collects what lm-eval warns of, which is then not printed."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, listener = logging.getLogger("lm_eval"), Listener(logging.WARNING)
    passes_on, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield heard
    finally:
        logger.removeHandler(listener)
        logger.propagate = passes_on


def _manager(names: Sequence[str], include: Path | None) -> Any:
    from lm_eval.tasks import TaskManager

    if include is not None:
        own = TaskManager(include_path=str(include), include_defaults=False)
        # Reading the index of lm-eval's own thousands of tasks takes longer than many a task.
        if all(settings is not None for name in names for _, settings in _below(own, name)):
            return own
    return TaskManager(include_path=str(include) if include else None)


def _known(manager: Any, name: str) -> None:
    if name not in manager.task_index:
        raise InputError(
            f"lm-eval knows no task {name!r}.",
            where="--tasks",
            mend="`lm-eval ls tasks` lists its own; --include adds a folder of yours, whose YAML files with a `task` "
            "count.",
        )


def _below(
    manager: Any, name: str, given: dict[str, Any] | None = None, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """A name and all names under it, with what the name's file says, or the group that lists it; None for nothing."""
    if name in above:
        raise InputError(f"the group {name} lists itself.", where="--tasks", mend=f"Look at {' > '.join(above)}.")
    entry = manager.task_index.get(name)
    settings = [one for one in (entry and entry.cfg, given) if one]
    # A tag has no file of its own.
    tagged = sorted(entry.tags) if entry is not None and entry.kind.name == "TAG" else []
    for one in settings or ([{}] if tagged else [None]):
        yield name, one
    for member in [*tagged, *(one for said in settings for one in _listed(said))]:
        inner = member if isinstance(member, dict) else None
        named = member if inner is None else inner["task"] if isinstance(inner.get("task"), str) else inner.get("group")
        yield from _below(manager, str(named), inner, (*above, name))


def _listed(settings: dict[str, Any]) -> list[Any]:
    return members if isinstance(members := settings.get("task"), list) else []


def _running_code(manager: Any, name: str) -> Iterator[str]:
    """The tasks under a name that run code, as their files or those of a group around them say."""
    for one, settings in _below(manager, name):
        # As lm-eval reads it: anything but false.
        if settings and settings.get("unsafe_code", False) is not False:
            yield one


def _load(manager: Any, names: Sequence[str]) -> list[Any]:
    try:
        loaded = manager.load(list(names))
    # A task's file may fail in any way: what is in it is Python, templates, and data from elsewhere.
    except Exception as error:
        raise InputError(
            f"lm-eval cannot load {', '.join(names)}: {reason_of(error)}.",
            where="--tasks",
            mend="Its own tasks fetch their data from the Hub; --include takes a folder of tasks with local files.",
        ) from error
    children = {child for below in loaded.get("group_map", {}).values() for child in below}
    found = {**loaded["tasks"], **loaded.get("groups", {})}
    return [one for name, one in found.items() if name not in children]


def reason_of(error: Exception) -> str:
    """What an error of another library says, in a line without a full stop."""
    return f"{type(error).__name__}: {first_line(str(error))}".rstrip(": .")
