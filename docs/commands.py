"""Writes `commands.md` and `settings.md` from what `--help` and the settings' models say: `make docs`."""

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel

HERE = Path(__file__).parent
GENERATED = "<!-- Written by commands.py: edit the source it reads. -->\n\n"


def _cell(text: str) -> str:
    """Text in a table: neither a bar nor, outside code, what stands in angle brackets is markup."""
    plain = re.sub(r"`[^`]*`|<", lambda found: "\\<" if found[0] == "<" else found[0], " ".join(text.split()))
    return plain.replace("|", "\\|")


def _parameter(one: Any) -> str:
    argument = one.param_type_name == "argument"
    names = (one.metavar or one.name.upper()) if argument else ", ".join((*one.opts, *one.secondary_opts))
    default = "" if one.default in (None, False) or argument else f" Default: `{one.default}`."
    return f"| `{names}` | {_cell((one.help or '') + default)} |"


def commands() -> str:
    """Every command with its help, its arguments and its options."""
    from pinpoint.cli import app

    group: Any = typer.main.get_command(app)
    parts = [GENERATED, "# Commands\n\nWhat `pinpoint COMMAND --help` says.\n"]
    for name, command in group.commands.items():
        told, *examples = (part.strip() for part in inspect.cleandoc(command.help).split("Example: "))
        parts.append(f"## pinpoint {name}\n\n{told}\n")
        if examples:
            parts.append("\n".join(("```console", *(f"$ {one}" for one in examples), "```\n")))
        rows = [_parameter(one) for one in command.params if one.name != "help"]
        if rows:
            parts.append("\n".join(("| | |", "|---|---|", *rows)) + "\n")
    return "\n".join(parts)


def _told(model: type[BaseModel]) -> dict[str, str]:
    """The docstring under each field of a model."""
    [body] = [node.body for node in ast.parse(textwrap.dedent(inspect.getsource(model))).body]  # type: ignore[attr-defined]
    found = {}
    for field, after in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            found[field.target.id] = str(text)
    return found


def _choices(annotation: Any) -> str:
    """What a setting can be, where it is one of a few words."""
    for one in (annotation, *get_args(annotation)):
        if get_origin(one) is Literal:
            return f"{', '.join(map(str, get_args(one)))}. "
    return ""


def _section(title: str, model: type[BaseModel]) -> str:
    told = _told(model)
    rows = []
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            continue
        default = "" if field.is_required() else f"`{field.default!r}`"
        text = _choices(field.annotation) + told.get(name, "")
        rows.append(f"| `{name}` | {_cell(default)} | {_cell(text)} |")
    doc = inspect.cleandoc(model.__doc__ or "")
    return f"## {title}\n\n{doc}\n\n| key | default | |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def settings() -> str:
    """Every setting with its type, its default and what it does."""
    from pinpoint.config import RunConfig, UserBehaviourConfig

    sections = {"The run": RunConfig}
    sections |= {
        f"`{name}`": type(field.default)
        for name, field in RunConfig.model_fields.items()
        if isinstance(field.default, BaseModel) and name != "full"
    }
    sections["A behaviour of your own"] = UserBehaviourConfig
    head = "# Settings\n\nThe keys of a settings file; `pinpoint config` shows what they come to.\n"
    head += "`full` has the keys of `tune`.\n"
    return "\n".join([GENERATED, head, *(_section(title, model) for title, model in sections.items())])


def write(*_: Any) -> None:
    """Writes both files, where they differ from what is there."""
    for name, text in (("commands.md", commands()), ("settings.md", settings())):
        path = HERE / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
