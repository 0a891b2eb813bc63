"""General ability by the tasks of lm-eval (Gao et al. 2024), on the model in memory."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.errors import InputError, first_line

PRESETS = {
    "paper": ("commonsense_qa", "bigbench_strategyqa_multiple_choice", "gsm8k", "humaneval", "mmlu"),
    "quick": ("arc_easy", "piqa"),
}
"""`paper`: what Chen et al. 2024 report, with StrategyQA as BIG-bench asks it."""

_ALLOWS_CODE = "HF_ALLOW_CODE_EVAL"


class Ability(NamedTuple):
    """One measure of a task: value, standard error (None where lm-eval gives none) and number of items."""

    task: str
    metric: str
    value: float
    stderr: float | None
    n: int


class Tasks(NamedTuple):
    """Tasks that lm-eval knows.

    Attributes:
        names: lm-eval's.
        manager: lm-eval's index of them.
        run_code: consent to run code that the model writes.
    """

    names: list[str]
    manager: Any
    run_code: bool


def find_tasks(tasks: str, include: Path | None = None, *, run_code: bool = False) -> Tasks:
    """Finds tasks in a folder, and among lm-eval's own.

    Args:
        tasks: a preset, or lm-eval's names of tasks or groups with commas.
        include: a folder of task files in lm-eval's YAML; theirs come before lm-eval's own of the same name.
        run_code: consent to run code that the model writes, on this machine, as HumanEval does.

    Raises:
        InputError: lm-eval is not installed, a task is unknown, or runs code without consent.
    """
    names = list(PRESETS.get(tasks, ())) or [name.strip() for name in tasks.split(",") if name.strip()]
    if not names:
        raise InputError("names no task.", where="--tasks", mend=f"Give {', '.join(PRESETS)}, or lm-eval's names.")
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise InputError(
            "lm-eval is not installed.", mend="Install it: pip install 'pinpoint-tuning[capability]'."
        ) from error
    if include is not None and not include.is_dir():
        raise InputError("no such folder.", where=f"--include {include}")
    # Reading the index of lm-eval's own thousands of tasks takes longer than many a task.
    manager = TaskManager(include_path=str(include), include_defaults=False) if include else None
    if manager is None or not set(names) <= set(manager.all_tasks):
        manager = TaskManager(include_path=str(include) if include else None)
    _check(manager, names, run_code)
    return Tasks(names, manager, run_code)


def capability(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tasks: Tasks,
    *,
    limit: int | None = None,
    batch_size: int = 16,
    seed: int = 0,
) -> list[Ability]:
    """Scores a model on tasks of lm-eval, with its chat template.

    Args:
        model: may be a PeftModel.
        tokenizer: its tokenizer.
        tasks: what `find_tasks` returns.
        limit: items of each task at the most.
        batch_size: items at once.
        seed: of everything that lm-eval draws.

    Raises:
        InputError: a task cannot be loaded or run.
    """
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    seeds = {f"{name}_seed": seed for name in ("random", "numpy_random", "torch_random", "fewshot_random")}
    with _code_allowed(tasks.run_code):
        try:
            found: Any = simple_evaluate(
                model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size),
                tasks=tasks.names,
                task_manager=tasks.manager,
                apply_chat_template=True,
                limit=limit,
                log_samples=False,
                confirm_run_unsafe_code=tasks.run_code,
                **seeds,
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(
                f"lm-eval cannot run {', '.join(tasks.names)}: {first_line(str(error)) or type(error).__name__}",
                mend="Its own tasks fetch their data from the Hub; --include takes a folder of tasks with local files.",
            ) from error
    return list(_abilities(found))


def _check(manager: Any, tasks: Sequence[str], run_code: bool) -> None:
    for name in tasks:
        if name not in manager.all_tasks:
            raise InputError(
                f"lm-eval knows no task {name!r}.",
                where="--tasks",
                mend="`lm-eval ls tasks` lists its own; --include adds a folder of yours.",
            )
        # Before lm-eval loads it: the files of such tasks run code as they are imported.
        path = manager.task_index[name].yaml_path
        if path is not None and not run_code and _runs_code(Path(path)):
            raise InputError(
                f"the task {name} runs code that the model writes, on this machine.",
                where="--tasks",
                mend="Leave it out, or consent with --run-code, in a container.",
            )


def _runs_code(path: Path) -> bool:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if re.search(r"(?mi)^unsafe_code:\s*(true|yes|on)\b", text):
        return True
    included = re.search(r"(?m)^include:\s*(\S+)", text)
    return included is not None and _runs_code(path.parent / included[1])


@contextmanager
def _code_allowed(run_code: bool) -> Iterator[None]:
    before = os.environ.pop(_ALLOWS_CODE, None)
    if run_code:
        os.environ[_ALLOWS_CODE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_ALLOWS_CODE, None)
        if before is not None:
            os.environ[_ALLOWS_CODE] = before


def _abilities(found: dict[str, Any]) -> Iterator[Ability]:
    for task, measured in found["results"].items():
        n = int(found.get("n-samples", {}).get(task, {}).get("effective", 0))
        for key, value in measured.items():
            name, _, kind = key.partition(",")
            if name.endswith("_stderr") or not kind or not isinstance(value, int | float):
                continue
            error = measured.get(f"{name}_stderr,{kind}")
            stderr = float(error) if isinstance(error, int | float) else None
            yield Ability(task, name if kind == "none" else f"{name} ({kind})", float(value), stderr, n)
