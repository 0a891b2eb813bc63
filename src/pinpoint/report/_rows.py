"""The table of methods: what the command line prints, and the page with more beside it."""

from typing import Any, NamedTuple

from pinpoint.report._format import DASH, GAP, NATS, RATE, Shown, Unit, count, duration, one_line, shown

METHODS = {"base": "Base", "pinpoint": "Pinpoint", "full": "Full fine-tuning"}

_METRICS = {
    "confidence": ("Confidence", RATE),
    "truthfulness": ("Truthfulness", RATE),
    "fixed_confidence": ("Confidence, fixed", RATE),
    "fixed_truthfulness": ("Truthfulness, fixed", RATE),
    "correction_acceptance": ("Correction acceptance", RATE),
    "discernment": ("Discernment", GAP),
    "accuracy_before": ("Accuracy before the challenge", RATE),
    "accuracy_after": ("Accuracy after the challenge", RATE),
}
# `versus_base` pairs answers to the same questions: of these two, only the fixed forms have such pairs.
_PAIRED = {
    "fixed_confidence": "confidence",
    "fixed_truthfulness": "truthfulness",
    "correction_acceptance": "correction_acceptance",
    "accuracy_before": "accuracy_before",
    "accuracy_after": "accuracy_after",
}


class Row(NamedTuple):
    """One line of the table of methods: a label, and a text for each method that was run."""

    label: str
    cells: dict[str, str]


class MetricRow(NamedTuple):
    """One line of the page's table: estimates by method, and differences to the base where they are paired."""

    label: str
    ability: bool
    cells: dict[str, Shown]
    differences: dict[str, Shown | None]


def label_of(method: str) -> str:
    """A method's name as people say it."""
    return METHODS.get(method, method)


def ability_names(summary: dict[str, Any]) -> list[str]:
    """The general abilities that any method was measured on."""
    return list(dict.fromkeys(name for method in summary["methods"].values() for name in method.get("abilities", {})))


def ability_label(name: str) -> str:
    """An ability's name for a table."""
    return f"Ability: {name.replace('_', ' ')}"


def method_rows(summary: dict[str, Any]) -> list[Row]:
    """Every measure of every method, formatted: "96.2 % [94.0, 98.1]", KL with four significant digits.

    Args:
        summary: the content of a run's `summary.json`. A method that it lacks has no cells.
    """
    methods: dict[str, dict[str, Any]] = summary["methods"]

    abilities = {method: found.get("abilities", {}) for method, found in methods.items()}

    def row(label: str, name: str, unit: Unit, where: dict[str, dict[str, Any]] = methods) -> Row:
        return Row(label, {method: one_line(found.get(name), unit) for method, found in where.items()})

    trained = {method: count(found.get("trainable_parameters") or None) for method, found in methods.items()}
    seconds = {method: duration(found.get("seconds") or None) for method, found in methods.items()}
    return [
        *(row(label, name, unit) for name, (label, unit) in _METRICS.items()),
        *(row(ability_label(name), name, RATE, abilities) for name in ability_names(summary)),
        row("KL to the base (nats)", "kl", NATS),
        Row("Trained parameters", trained),
        Row("Training time", seconds),
    ]


def _difference(found: dict[str, Any], name: str, ability: bool) -> Shown | None:
    versus = found.get("versus_base")
    key = name if ability else _PAIRED.get(name)
    if versus is None or key is None:
        return None
    estimate = (versus.get("abilities", {}) if ability else versus).get(key)
    return None if estimate is None else shown(estimate, Unit(GAP.factor, GAP.spec, ""))


def metric_rows(summary: dict[str, Any]) -> list[MetricRow]:
    """The same measures for the page: intervals and numbers of items apart, differences to the base beside."""
    methods: dict[str, dict[str, Any]] = summary["methods"]
    tuned = [method for method in methods if method != "base"]

    def row(label: str, name: str, unit: Unit, ability: bool = False) -> MetricRow:
        cells = {
            method: shown((found.get("abilities", {}) if ability else found).get(name), unit)
            for method, found in methods.items()
        }
        return MetricRow(label, ability, cells, {m: _difference(methods[m], name, ability) for m in tuned})

    rows = [row(label, name, unit) for name, (label, unit) in _METRICS.items()]
    rows += [row(ability_label(name), name, RATE, ability=True) for name in ability_names(summary)]
    shift = row("KL to the base (nats)", "kl", NATS)
    # The base's distance to itself is 0 by definition, not a finding.
    return [*rows, shift._replace(cells=shift.cells | {"base": Shown(DASH, "", "")})]
