"""Markdown in which whatever a model or a data set brought is shown and does nothing."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pinpoint.errors import printable
from pinpoint.masking import masked_text
from pinpoint.report._format import count

_HERE = Path(__file__).parent
_MEANS = re.compile(r"[\\`*_{}\[\]<>#|~!&$@]|:(?=//)|(?<=\bwww)\.")
_BEGINS = re.compile(r"^([-+=]|\d+(?=[.)](\s|$)))")


class Markdown(str):
    """Text of our own, which is not escaped again."""


def escaped(value: Any) -> Markdown:
    """A value as Markdown that reads as itself: no markup, no HTML, no link, no second line or cell, no secret."""
    if isinstance(value, Markdown):
        return value
    text = " ".join(printable(masked_text(str(value))).split())
    text = _MEANS.sub(r"\\\g<0>", text)
    begins = _BEGINS.match(text)
    if begins is None:
        return Markdown(text)
    mark = begins[1]
    # "1. x" and "- x" would begin a list, "=" make a heading of the line before.
    return Markdown(f"{mark}\\{text[len(mark) :]}" if mark[0].isdigit() else f"\\{text}")


def fenced(text: str, language: str = "") -> Markdown:
    """A block of code with a fence that nothing in it can close."""
    text = masked_text(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    shown = "\n".join(printable(line) for line in text.splitlines())
    return Markdown(f"{fence}{language}\n{shown}\n{fence}")


def render_markdown(template: str, context: dict[str, Any]) -> str:
    """A template in which every value is escaped unless it is `Markdown`."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        # Of Markdown, not of HTML: `escaped` does it.
        autoescape=False,
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ours"] = Markdown
    environment.filters["count"] = count
    return environment.get_template(template).render(context)


def markdown_table(rows: list[list[str]]) -> str:
    """A table, its header first: names, which may be of others' making, and numbers, which are as they are written."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |\n"

    head = [escaped(cell) for cell in rows[0]]
    body = [[escaped(row[0]), *(cell.replace("|", "\\|") for cell in row[1:])] for row in rows[1:]]
    return line(head) + line(["---", *["--:"] * (len(rows[0]) - 1)]) + "".join(map(line, body))
