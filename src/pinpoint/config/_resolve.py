"""Settings that a run can start with: what they name is there, before anything slow is done."""

from pathlib import Path
from typing import Any

from pinpoint.config._data import FURTHER_SETS
from pinpoint.config._fetched import with_files_fetched
from pinpoint.config._judge import ITSELF, NOT_ITSELF
from pinpoint.config._packaged import with_questions
from pinpoint.config._question_sources import ROLES
from pinpoint.config._run import RunConfig
from pinpoint.config._sources import settings_of
from pinpoint.config._user import UserBehaviourConfig
from pinpoint.errors import ConfigError, InputError, Problems

_OF_STAGES = tuple(f"{role}." for role in ROLES)
_SET = "Put the set there, or name another file, folder or address; docs/question-sets.md shows what is read."
_QUESTIONS = (
    "Give questions with --questions, or a behaviour of your own with --behaviour; "
    "docs/usage.md and docs/behaviours.md show the forms."
)
_FOLDERS = ("phrasings", "pressure", "sycon", "beliefs", "feedback")


def resolve(model: str, config: Path | None, typed: dict[str, Any]) -> RunConfig:
    """The settings of a run, as `settings_of` puts them together, whose files are there.

    Where no questions are named, they are those that come with the package (see `notices`).

    Raises:
        ConfigError: a key is unknown or a value out of range, wherever it was set.
        InputError: files that they name are not there, of which all are told, or one cannot be fetched.
    """
    resolved = with_questions(with_files_fetched(settings_of(model, config, typed)))
    problems = Problems()
    _check_files(resolved, problems)
    for check in (_check_judge, _check_sources):
        with problems.kept():
            check(resolved)
    problems.tell()
    return resolved


def _check_files(resolved: RunConfig, problems: Problems) -> None:
    for key, name in resolved.behaviour.files(resolved.data).items():
        if not Path(name).exists():
            mend = _SET if key.removeprefix("data.").startswith(_OF_STAGES) else _QUESTIONS
            problems.add(InputError(f"no such file or folder: {name}.", where=key, mend=mend))
    for name in ("abilities", "neutral", "passages", *FURTHER_SETS):
        path = getattr(resolved.data, name)
        there = Path.exists if name in _FOLDERS else Path.is_file
        if path is not None and not there(Path(path)):
            mend = "Give a JSONL file, or leave it out."
            problems.add(InputError("no such file.", where=f"data.{name}: {path}", mend=mend))
    # It is read once training is over: too late to find that it is not there.
    search = resolved.full.search if resolved.full else None
    if search is not None and not Path(search).is_file():
        mend = "Give a JSON record, or leave it out."
        problems.add(InputError("no such file.", where=f"full.search: {search}", mend=mend))


def _check_judge(config: RunConfig) -> None:
    judge = config.judge
    if (
        judge.kind != "rules"
        and isinstance(config.behaviour, UserBehaviourConfig)
        and not any(one.rule == "model" for one in config.behaviour.measures.values())
        and not any(getattr(config.data, name) for name in FURTHER_SETS)
    ):
        raise ConfigError(
            "replies of a behaviour of your own are judged by the rules of its file, and no further set is named.",
            where="judge",
            mend="Leave the judge out, name a set, such as --pressure FILE, or give a measure the rule model.",
        )
    if judge.judges(config.model):
        raise ConfigError(ITSELF, where="judge.model", mend=NOT_ITSELF)


def _check_sources(config: RunConfig) -> None:
    if config.data.sources and not config.contrast:
        raise ConfigError(
            "sets of questions are for the built-in behaviour: one of your own has its dialogues in its file.",
            where=", ".join(f"data.{role}" for role in config.data.sources),
            mend="Leave them out, or leave --behaviour out.",
        )
