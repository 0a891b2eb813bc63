"""Files of one JSON object a line, each held to a model of its row."""

import json
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import BaseModel, PrivateAttr, ValidationError

from pinpoint.data._lines import read_lines
from pinpoint.errors import InputError

_Row = TypeVar("_Row", bound=BaseModel)


class Placed(BaseModel):
    """A row that knows where it stands."""

    _place: str = PrivateAttr("")

    @property
    def place(self) -> str:
        """File and line; empty for what was made, not read."""
        return self._place

    def at(self, place: str) -> Self:
        """The same row, standing there."""
        placed = self.model_copy()
        placed._place = place
        return placed


class Located(NamedTuple):
    """A row and the line that it stands in."""

    line: int
    row: Any


def read_rows(path: str | Path, row: type[_Row]) -> list[Located]:
    """Reads rows; blank lines are passed over.

    Raises:
        InputError: names the file, the line and what is wrong; nothing is dropped silently.
    """
    path = Path(path)
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            rows.append(Located(number, row.model_validate(json_object(line))))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise InputError(f"{key}: {first['msg']}".lstrip(": "), where=where, mend=_expects(row)) from error
        except ValueError as error:
            raise InputError(f"not a JSON object ({error}).", where=where, mend=_expects(row)) from error
    if not rows:
        raise InputError("the file has no rows.", where=str(path), mend=_expects(row))
    return rows


def json_object(line: str) -> dict[str, Any]:
    """The JSON object that a line holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("the line holds another kind of value")
    return value


def _expects(row: type[BaseModel]) -> str:
    fields = [name if field.is_required() else f"[{name}]" for name, field in row.model_fields.items()]
    return f"Each line is a JSON object with {', '.join(fields)}."
