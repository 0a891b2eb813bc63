"""What commands left in a run folder, as objects for a notebook."""

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.config import of_run
from pinpoint.errors import ArtifactError

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

_ESTIMATE = {"value", "low", "high", "n"}


class Stored:
    """Numbers as a file of a run folder has them, and the behaviour whose measures they are."""

    def __init__(self, numbers: Mapping[str, Any], behaviour: Behaviour) -> None:
        self.numbers = dict(numbers)
        self.behaviour = behaviour

    @classmethod
    def of(cls, run: str | Path, file: str, lacks: str, mend: str) -> Self:
        """Reads a file of a run folder.

        Args:
            run: the run folder.
            file: a JSON file below it.
            lacks: what is to say of a run without it.
            mend: what makes it.

        Raises:
            ConfigError: the folder holds no run.
            ArtifactError: the file is not there, or was changed.
        """
        folder, path = Path(run), Path(run, file)
        behaviour = behaviour_of(of_run(folder).behaviour)
        if not path.is_file():
            raise ArtifactError(f"{lacks}.", where=str(folder), mend=mend)
        return cls(Workspace(path.parent).read_json(path.name), behaviour)


def estimate_rows(
    methods: Mapping[str, Mapping[str, Any]], versus: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row a measure and method, with the difference to the base.

    Args:
        methods: estimates by method and measure.
        versus: differences to the base, likewise.
    """
    rows = []
    for method, found in methods.items():
        against = dict(_estimates(versus.get(method, {})))
        for name, one in _estimates(found):
            paired = against.get(name, {})
            rows.append(
                {"measure": name, "method": method}
                | {key: one[key] for key in ("value", "low", "high", "n")}
                | {"difference": paired.get("value")}
                | {f"difference_{end}": paired.get(end) for end in ("low", "high")}
            )
    return rows


def _estimates(found: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, one in found.items():
        if not isinstance(one, Mapping) or key == "versus_base":
            continue
        if one.keys() >= _ESTIMATE:
            yield above + key, one
        else:
            yield from _estimates(one, above if key in ("abilities", "further") else f"{above}{key}.")


def table_of(rows: Sequence[Sequence[str]]) -> "DataFrame":
    """A table of the page, its header first."""
    import pandas

    header, *below = rows
    return pandas.DataFrame(below, columns=list(header))


def figure_of_page(figure: Mapping[str, Any], title: str) -> "Figure":
    """A figure of the page as a plotly object, in the colours of its light theme."""
    import plotly.graph_objects as go

    text = re.sub(r"var\((--[\w-]+)\)", lambda found: _colours().get(found[1], found[0]), json.dumps(figure))
    return go.Figure(json.loads(text)).update_layout(title=html.escape(title), margin={"t": 96}, dragmode="zoom")


@cache
def _colours() -> dict[str, str]:
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    light = css[css.index("{") : css.index("}")]
    return dict(re.findall(r"(--[\w-]+): ([^;]+);", light))
