"""What comes with the package for a run: settings of published models, the paper's data, general questions."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from pinpoint.config._behaviour import SycophancyConfig
from pinpoint.config._read import read_settings
from pinpoint.config._run import RunConfig


def packaged_questions() -> Path:
    """Questions of general knowledge, those that the organism knows."""
    return Path(str(files("pinpoint"))) / "organism" / "weights" / "yesman" / "questions.jsonl"


def _folder() -> Path:
    return Path(str(files("pinpoint"))) / "configs"


@cache
def _by_model() -> dict[str, Path]:
    """Settings of one model each; those for every model name none."""
    models = {path: read_settings(path).get("model") for path in sorted(_folder().glob("*.yaml"))}
    return {str(model).casefold(): path for path, model in models.items() if model is not None}


def packaged_settings(model: str) -> Path | None:
    """The settings that come along for a model of the Hub; None for others, and for folders."""
    return None if Path(model).exists() else _by_model().get(model.casefold())


def settings_named(name: Path) -> Path:
    """A file of settings: the one of that path, or else one that comes along under that name."""
    if name.is_file() or name.parent != Path():
        return name
    return next((path for path in _folder().glob("*.yaml") if name.name in (path.name, path.stem)), name)


def anchor_of(path: Path) -> Path:
    """The folder that relative paths in a file of settings count from: nobody keeps sets beside the package's own."""
    return Path() if path.resolve().parent == _folder().resolve() else path.parent


def with_questions(config: RunConfig) -> RunConfig:
    """The settings, with the package's questions where none are named and none lie where they would be looked for."""
    data = config.data
    wanted = isinstance(config.behaviour, SycophancyConfig) and "data.questions" in data.question_files()
    if not wanted or "questions" in data.model_fields_set or Path(data.questions).exists():
        return config
    return config.model_copy(update={"data": data.model_copy(update={"questions": str(packaged_questions())})})


def notices(config: RunConfig) -> list[str]:
    """What a user is told of settings that were not given: which file they come from, and whose questions are used."""
    lines = []
    if (found := packaged_settings(config.model)) is not None:
        lines.append(
            f"settings of {config.model} come with the package ({found.name}); a file and options override them"
        )
    name = config.behaviour.files(config.data).get("data.questions")
    own = packaged_questions()
    if name == str(own) and own.parent != Path(config.model).resolve():
        lines.append(
            "no questions are given: the general-knowledge questions of the package are used, on which the paper's "
            "figures say nothing (its data: --config paper-data, and docs/results/published.md)"
        )
    return lines
