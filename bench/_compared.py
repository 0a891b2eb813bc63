"""What docs/results/compare.md says of the record of bench/compare.py: its tables and what is told apart."""

from typing import Any

from bench._front import Panel, Point, front
from pinpoint.behaviours import behaviour_of
from pinpoint.config import CompareConfig, RunConfig, settings_of
from pinpoint.numerals import p_value
from pinpoint.organism import shipped
from pinpoint.pipeline._comparators import CAA_START, FURTHER_STRENGTHS, ITI_START, first_rate
from pinpoint.report._comparison import _FAMILIES, _drawable
from pinpoint.report._comparison_tables import (
    ability_rows,
    again_rows,
    comparison_rows,
    label_of_entry,
    memory_words,
    pinpoint_rows,
    rate,
    searched_rows,
    steps_words,
)
from pinpoint.report._markdown import markdown_table

BEHAVIOUR = behaviour_of(RunConfig(model="yesman").behaviour)
SHOWN = 0.05
OTHER_HEADS = ("random", "matched", "bottom")


def entries_of(found: dict[str, Any], *methods: str) -> list[str]:
    """The names under which methods stand in the record."""
    return [name for name, record in found["methods"].items() if record["method"] in methods]


def label(found: dict[str, Any], name: str) -> str:
    """A method's name as people say it."""
    return label_of_entry(name, found["methods"][name])


def _compared(found: dict[str, Any]) -> dict[str, str]:
    """What methods are compared in against pinpoint tuning, and what it is called."""
    abilities = found["methods"]["base"]["metrics"]["abilities"]
    return {**BEHAVIOUR.tested, "kl": "KL", **{f"abilities.{name}": name.replace("_", " ") for name in abilities}}


def _paired(found: dict[str, Any], name: str, key: str) -> dict[str, Any]:
    versus = found["methods"][name]["versus_pinpoint"]
    measured: dict[str, Any] = versus["abilities"][key.split(".")[1]] if "." in key else versus[key]
    return measured


def is_shown(found: dict[str, Any], name: str, key: str, sign: int) -> bool:
    """Whether a method differs from pinpoint tuning in that direction, by its p after Holm's correction."""
    test = found["tests"]["pinpoint"][key][name]
    return bool(test["p_holm"] < SHOWN and sign * _paired(found, name, key)["value"] > 0)


def leaves_out_0(found: dict[str, Any], name: str, key: str, sign: int) -> bool:
    """Whether the interval of a method's difference to pinpoint tuning lies in that direction, uncorrected."""
    paired = _paired(found, name, key)
    return bool(paired["low"] > 0 if sign > 0 else paired["high"] < 0)


def shown(found: dict[str, Any], names: list[str], keys: list[str], sign: int) -> list[str]:
    """Of the methods, those that differ in one of these respects."""
    return [name for name in names if any(is_shown(found, name, key, sign) for key in keys)]


def difference(found: dict[str, Any], name: str, key: str) -> str:
    """A paired difference to pinpoint tuning: "-9.7 [-12.9, -6.6] points n=394, p <.001"."""
    text = rate(_paired(found, name, key), *(("+.4f", 1) if key == "kl" else ("+.1f",)))
    value, _, n = text.rpartition(" n=")
    unit = "nats" if key == "kl" else "points"
    return f"{value} {unit} n={n}, p {p_value(found['tests']['pinpoint'][key][name]['p_holm'])}"


def differences(
    found: dict[str, Any], name: str, keys: list[str] | None = None, signs: tuple[int, ...] = (1, -1)
) -> str:
    """A method's differences to pinpoint tuning that are shown, in some respects or all; or that there is none."""
    said = [
        f"{what} {difference(found, name, key)}"
        for key, what in _compared(found).items()
        if key in (keys or _compared(found)) and any(is_shown(found, name, key, sign) for sign in signs)
    ]
    return "; ".join(said) or "none"


def family(found: dict[str, Any]) -> int:
    """How many tests the p values are corrected for."""
    tests = found["tests"]
    both = sum(len(row) for rival in tests.values() for row in rival.values())
    return both - sum("base" in row for row in tests["pinpoint"].values())


def _starts() -> dict[str, float]:
    """Where the searches began, with the settings that come with the model."""
    config = settings_of(str(shipped()["yesman"]), None, {})
    rates = {"full": first_rate(config, "full"), "adapters": first_rate(config, "pinpoint")}
    return rates | {"caa": CAA_START, "iti": ITI_START}


def told(found: dict[str, Any], quick: dict[str, Any] | None) -> dict[str, Any]:
    """What the template of the page is filled with."""
    others = entries_of(found, *OTHER_HEADS)
    abilities = [key for key in _compared(found) if "." in key]
    ways = {key: ([key], 1 if key == "kl" else -1) for key in (*BEHAVIOUR.tested, "kl")} | {
        "abilities": (abilities, -1)
    }
    behind = {way: shown(found, others, *what) for way, what in ways.items()}
    before = {way: shown(found, others, keys, -sign) for way, (keys, sign) in ways.items()}
    return {
        "found": found,
        "quick": quick,
        "table": markdown_table(comparison_rows(found)),
        "paired": markdown_table(pinpoint_rows(found)),
        "abilities": markdown_table(ability_rows(found)),
        "again": markdown_table(again_rows(found)),
        "searched": markdown_table([["method", "chosen", "tried: setting, truthfulness in %, KL"], *_searched(found)]),
        "quick_table": quick and markdown_table(comparison_rows(quick)),
        "memory": memory_words(found),
        "steps": steps_words(found),
        "family": family(found),
        "others": others,
        "behind": behind,
        "before": before,
        "alone": {
            way: [name for name in others if any(leaves_out_0(found, name, key, sign) for key in keys)]
            for way, (keys, sign) in ways.items()
        },
        "nearer": [name for name in others if leaves_out_0(found, name, "kl", -1)],
        "alike": [name for name in others if not any(name in some for some in (*behind.values(), *before.values()))],
        "named": lambda name: label(found, name),
        "differences": lambda name: differences(found, name),
        "lost": lambda name: differences(found, name, abilities, (-1,)),
        "difference": lambda name, key: difference(found, name, key),
        "measured": lambda name, key: rate(found["methods"][name]["metrics"][key]),
        "starts": _starts(),
        "tries": CompareConfig().tries,
        "further": FURTHER_STRENGTHS,
    }


def picture(found: dict[str, Any]) -> str:
    """Truthfulness against KL to the base, and against correction acceptance, as an SVG."""
    panels = []
    for across, words in (("kl", "KL to the base, nats, logarithmic"), ("correction_acceptance", "acceptance")):
        points = [
            Point(record["metrics"][across], record["metrics"]["fixed_truthfulness"], label(found, name), group)
            for group, (_, _, methods) in _FAMILIES.items()
            for name, record in found["methods"].items()
            if record["method"] in methods and _drawable(record["metrics"], "fixed_truthfulness", across)
        ]
        panels.append(Panel(words, "truthfulness", across == "kl", points))
    return front(panels, "Truthfulness against KL to the base, and against correction acceptance, one point a method")


def _searched(found: dict[str, Any]) -> list[list[str]]:
    return searched_rows(found, BEHAVIOUR.matched[0])
