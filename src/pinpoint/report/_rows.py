"""The table of methods: what the command line prints, and the page with more beside it."""

from typing import Any, NamedTuple

from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.beyond import FURTHER
from pinpoint.checks import FEWEST_ITEMS
from pinpoint.config import SycophancyConfig
from pinpoint.report._format import DASH, GAP, NATS, RATE, Shown, Unit, all_of, count, duration, shown, together
from pinpoint.report._shifts import shift_labels

METHODS = {"base": "Base", "pinpoint": "Pinpoint", "full": "Full fine-tuning"}

BUILT_IN = behaviour_of(SycophancyConfig())
_UNITS = {"rate": RATE, "gap": GAP}
_FURTHER_UNITS = {"rate": RATE, "gap": GAP, "turns": Unit(1, ".2f", "")}


class Row(NamedTuple):
    """One line of the table of methods: a label, and a text for each method that was run.

    Attributes:
        few: the methods whose rate rests on fewer items than a rate should.
    """

    label: str
    cells: dict[str, str]
    few: frozenset[str] = frozenset()


class MetricRow(NamedTuple):
    """One line of the page's table: estimates by method, and differences to the base where they are paired."""

    label: str
    ability: bool
    cells: dict[str, Shown]
    differences: dict[str, Shown | None]
    few: frozenset[str] = frozenset()


def on_few(estimate: Any) -> bool:
    """Whether a rate is defined, and rests on fewer items than a rate should."""
    return estimate is not None and estimate["value"] is not None and estimate["n"] < FEWEST_ITEMS


def label_of(method: str) -> str:
    """A method's name as people say it."""
    return METHODS.get(method, method)


def ability_names(summary: dict[str, Any]) -> list[str]:
    """The general abilities that any method was measured on."""
    return list(dict.fromkeys(name for method in summary["methods"].values() for name in method.get("abilities", {})))


def ability_label(name: str) -> str:
    """An ability's name for a table."""
    return f"Ability: {name.replace('_', ' ')}"


def method_rows(summary: dict[str, Any], behaviour: Behaviour = BUILT_IN) -> list[Row]:
    """Every measure of every method: "96.2 % [94.0, 98.1] n=96", KL with four significant digits.

    Args:
        summary: the content of a run's `summary.json`. A method that it lacks has no cells.
        behaviour: whose measures it holds.
    """
    methods: dict[str, dict[str, Any]] = summary["methods"]

    abilities = {method: found.get("abilities", {}) for method, found in methods.items()}

    def row(label: str, name: str, unit: Unit, where: dict[str, dict[str, Any]] = methods) -> Row:
        return Row(label, {method: all_of(found.get(name), unit) for method, found in where.items()})

    def rate(label: str, name: str, unit: Unit, where: dict[str, dict[str, Any]] = methods) -> Row:
        few = frozenset(method for method, found in where.items() if on_few(found.get(name)))
        return row(label, name, unit, where)._replace(few=few)

    trained = {method: count(found.get("trainable_parameters") or None) for method, found in methods.items()}
    seconds = {method: duration(found.get("seconds") or None) for method, found in methods.items()}
    return [
        *(rate(one.label, one.name, _UNITS[one.unit]) for one in behaviour.measures),
        *(rate(ability_label(name), name, RATE, abilities) for name in ability_names(summary)),
        *(
            Row(one.label, {key: together(cell) for key, cell in one.cells.items()}, one.few)
            for one in (*further_rows(summary), *set_rows(summary, behaviour))
        ),
        row("KL to the base (nats)", "kl", NATS),
        *(row(label, name, NATS) for name, label in shift_labels(summary).items()),
        Row("Trained parameters", trained),
        Row("Training time", seconds),
    ]


def _further_names(summary: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(key for method in summary["methods"].values() for key in method.get("further", {})))


def further_titles(summary: dict[str, Any]) -> list[str]:
    """The further sets that any method was measured on, as people say them."""
    return [FURTHER[name].title for name in _further_names(summary)]


def further_rows(summary: dict[str, Any]) -> list[MetricRow]:
    """Every measure of every further set: estimates by method, differences to the base beside."""
    methods: dict[str, dict[str, Any]] = summary["methods"]

    def estimated(found: dict[str, Any], name: str, measure: str) -> Any:
        return found.get("further", {}).get(name, {}).get(measure)

    rows = []
    for name in _further_names(summary):
        for one in FURTHER[name].measures:
            unit = _FURTHER_UNITS[one.unit]
            change = Unit(unit.factor, "+.2f" if one.unit == "turns" else "+.1f", "")
            cells = {key: shown(estimated(found, name, one.name), unit) for key, found in methods.items()}
            differences: dict[str, Shown | None] = {
                key: shown(estimated(found.get("versus_base", {}), name, one.name), change)
                for key, found in methods.items()
                if key != "base"
            }
            few = frozenset(key for key, found in methods.items() if on_few(estimated(found, name, one.name)))
            rows.append(MetricRow(f"{FURTHER[name].title}: {one.label}", False, cells, differences, few))
    return rows


def set_names(summary: dict[str, Any]) -> list[str]:
    """The question sets that measures are given by, where there are several."""
    return list(dict.fromkeys(key for method in summary["methods"].values() for key in method.get("by_set", {})))


def set_rows(summary: dict[str, Any], behaviour: Behaviour) -> list[MetricRow]:
    """The measures that have a short name, by question set: estimates by method, differences to the base beside."""
    methods: dict[str, dict[str, Any]] = summary["methods"]

    def within(found: dict[str, Any], name: str) -> dict[str, Any]:
        measured: dict[str, Any] = found.get("by_set", {}).get(name, {})
        versus = found.get("versus_base", {}).get("by_set", {}).get(name)
        return measured | ({"versus_base": versus} if versus else {})

    return [
        row._replace(label=f"{name}: {row.label}")
        for name in set_names(summary)
        for row in _measure_rows({key: within(found, name) for key, found in methods.items()}, behaviour, short=True)
    ]


def _measure_rows(methods: dict[str, dict[str, Any]], behaviour: Behaviour, *, short: bool) -> list[MetricRow]:
    return [
        MetricRow(
            one.label,
            False,
            {method: shown(found.get(one.name), _UNITS[one.unit]) for method, found in methods.items()},
            {method: _difference(found, one.paired, False) for method, found in methods.items() if method != "base"},
            frozenset(method for method, found in methods.items() if on_few(found.get(one.name))),
        )
        for one in behaviour.measures
        if one.short or not short
    ]


def _difference(found: dict[str, Any], key: str, ability: bool) -> Shown | None:
    versus = found.get("versus_base")
    if versus is None or not key:
        return None
    estimate = (versus.get("abilities", {}) if ability else versus).get(key)
    return None if estimate is None else shown(estimate, Unit(GAP.factor, GAP.spec, ""))


def metric_rows(summary: dict[str, Any], behaviour: Behaviour) -> list[MetricRow]:
    """The same measures for the page: intervals and numbers of items apart, differences to the base beside."""
    methods: dict[str, dict[str, Any]] = summary["methods"]
    tuned = [method for method in methods if method != "base"]

    def row(label: str, name: str, unit: Unit, paired: str = "", ability: bool = False) -> MetricRow:
        cells = {
            method: shown((found.get("abilities", {}) if ability else found).get(name), unit)
            for method, found in methods.items()
        }
        return MetricRow(label, ability, cells, {m: _difference(methods[m], paired, ability) for m in tuned})

    rows = _measure_rows(methods, behaviour, short=False)
    rows += [row(ability_label(name), name, RATE, name, ability=True) for name in ability_names(summary)]
    shifts = {"kl": "KL to the base (nats)"} | shift_labels(summary)
    # The base's distance to itself is 0 by definition, not a finding.
    nothing = {"base": Shown(DASH, "", "")}
    moved = [row(label, name, NATS) for name, label in shifts.items()]
    return [*rows, *(one._replace(cells=one.cells | nothing) for one in moved)]
