"""The numbers of a run in Python: a table, and a view for notebooks."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.config import of_run
from pinpoint.errors import ArtifactError
from pinpoint.report._rows import METHODS, method_rows

if TYPE_CHECKING:
    from pandas import DataFrame

_ESTIMATE = {"value", "low", "high", "n"}


class Summary:
    """What a run found, as `summary.json` has it.

    Attributes:
        numbers: the content of the file.
        behaviour: whose measures they are.

    Example:
        After `pinpoint demo`:

        >>> summary = pinpoint.read_summary("runs/demo")
        >>> [key for key in summary.numbers if key in ("heads", "methods")]
        ['heads', 'methods']
        >>> summary.behaviour.name
        'sycophancy'
    """

    def __init__(self, numbers: Mapping[str, Any], behaviour: Behaviour) -> None:
        self.numbers = dict(numbers)
        self.behaviour = behaviour

    def __repr__(self) -> str:
        methods = ", ".join(self.numbers["methods"])
        return f"<Summary: {Path(self.numbers['model']).name}, {len(self.numbers['heads'])} heads tuned; {methods}>"

    def to_pandas(self) -> "DataFrame":
        """One row a measure and method: value, ends of the 95 % interval, items, and the difference to the base.

        Rates and differences of rates are shares of 1, divergences nats; what is undefined is missing. Measures have
        their names in `summary.json`; those of further sets stand behind the set's: `pressure.flipped`.
        """
        import pandas

        rows = []
        for method, found in self.numbers["methods"].items():
            against = dict(_estimates(found.get("versus_base", {})))
            for name, one in _estimates(found):
                paired = against.get(name, {})
                rows.append(
                    {"measure": name, "method": method}
                    | {key: one[key] for key in ("value", "low", "high", "n")}
                    | {"difference": paired.get("value")}
                    | {f"difference_{end}": paired.get(end) for end in ("low", "high")}
                )
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        """The table of methods as on the page, for a notebook."""
        import pandas

        rows = method_rows(self.numbers, self.behaviour)
        cells = [{METHODS.get(name, name): text for name, text in row.cells.items()} for row in rows]
        table: str = pandas.DataFrame(cells, index=[row.label for row in rows]).to_html(escape=True)
        heads = self.numbers["heads"]
        title = f"{Path(self.numbers['model']).name}: {len(heads)} heads tuned ({', '.join(heads)})"
        warned = "".join(f"<p>Warning: {html.escape(text)}</p>" for text in self.numbers.get("warnings", []))
        return f"<p>{html.escape(title)}</p>{table}{warned}"


def _estimates(found: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, one in found.items():
        if not isinstance(one, Mapping) or key == "versus_base":
            continue
        if one.keys() >= _ESTIMATE:
            yield above + key, one
        else:
            yield from _estimates(one, above if key in ("abilities", "further") else f"{above}{key}.")


def read_summary(run: str | Path) -> Summary:
    """The numbers of a run that has been evaluated.

    Args:
        run: the run folder.

    Raises:
        ConfigError: the folder holds no run.
        ArtifactError: the run has not been evaluated, or its numbers were changed.

    Example:
        After `pinpoint demo`:

        >>> table = pinpoint.read_summary("runs/demo").to_pandas()
        >>> table[table.measure == "confidence"].method.head(2).tolist()
        ['base', 'pinpoint']
        >>> list(table.columns[:6])
        ['measure', 'method', 'value', 'low', 'high', 'n']
    """
    folder = Path(run)
    behaviour = behaviour_of(of_run(folder).behaviour)
    if not (folder / "summary.json").is_file():
        raise ArtifactError(
            "has not been evaluated.",
            where=str(folder),
            mend="Finish it with `pinpoint run`, or `pinpoint evaluate RUN`.",
        )
    return Summary(Workspace(folder).read_json("summary.json"), behaviour)
