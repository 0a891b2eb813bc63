"""The tables of `pinpoint compare`: methods in rows, what was measured in columns."""

from typing import Any

from pinpoint.behaviours import Behaviour
from pinpoint.numerals import p_value, with_interval, with_n
from pinpoint.report._format import DASH
from pinpoint.report._rows import BUILT_IN

LABELS = {
    "base": "base",
    "pinpoint": "pinpoint (located heads)",
    "full": "full fine-tuning",
    "lora": "LoRA, all layers",
    "head_lora": "LoRA on the located heads",
    "heads_mlp": "located heads + top MLP",
    "random": "random heads",
    "matched": "layer-matched heads",
    "bottom": "bottom heads",
    "pinpoint_anchored": "pinpoint + KL to the base",
    "pinpoint_dpo": "pinpoint, DPO",
    "pinpoint_own": "pinpoint, own answers",
    "few_shot": "few-shot prompt",
    "system_prompt": "system prompt",
    "caa": "activation addition (CAA)",
    "iti": "inference-time intervention",
}
RIVALS = ("base", "pinpoint")
_WHEN = ("before", "after")


def rate(estimate: dict[str, Any] | None, spec: str = ".1f", factor: float = 100) -> str:
    """An estimate as "97.4 [95.9, 99.0] n=394"; without an interval where there is none, a dash where nothing is."""
    if estimate is None or estimate["value"] is None:
        return DASH
    return with_n(with_interval(estimate, spec, factor), estimate["n"])


def label_of_entry(name: str, record: dict[str, Any]) -> str:
    """A method's name as people say it, with its draw."""
    label, draw = LABELS[record["method"]], name.removeprefix(record["method"]).strip("_")
    return f"{label} {draw}".strip()


def _worst_ability(record: dict[str, Any]) -> str:
    changes = {name: one for name, one in record["versus_base"]["abilities"].items() if one["value"] is not None}
    if not changes:
        return DASH
    worst = min(changes, key=lambda name: changes[name]["value"])
    return f"{rate(changes[worst], '+.1f')} {worst.replace('_', ' ')}"


def _p(tests: dict[str, Any], name: str) -> str:
    return p_value(tests[name]["p_holm"]) if name in tests else DASH


def _with_p(text: str, tests: dict[str, Any], name: str) -> str:
    return f"{text}, p {_p(tests, name)}" if name in tests and text != DASH else text


def _count(value: int) -> str:
    return f"{value:,}" if value else DASH


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value else DASH


def tested_columns(behaviour: Behaviour) -> list[tuple[str, str, str]]:
    """Of the tests that have a column in the table: the rival, the key of what is tested, and the column's name."""
    found = [
        (rival, measure, f"p {label}, against {rival}")
        for measure, label in behaviour.tested.items()
        for rival in RIVALS
    ]
    return [*found, ("pinpoint", "kl", "p KL, against pinpoint")]


def comparison_rows(found: dict[str, Any], behaviour: Behaviour = BUILT_IN) -> list[list[str]]:
    """The table of `pinpoint compare` as texts, its header first. Rates in % and KL in nats, with 95 % intervals and n.

    Args:
        found: the content of `compare/compare.json`.
        behaviour: whose measures it holds.
    """
    rates = [one for one in behaviour.measures if one.short]
    tested = tested_columns(behaviour)
    header = ["method", *(one.short for one in rates), "worst ability, points", "KL to base", "trained parameters"]
    header += ["tokens with loss", "seconds", "seconds in all", "peak memory, GiB"]
    rows = [header + [label for _, _, label in tested]]
    for name, record in found["methods"].items():
        measured, peak = record["metrics"], record["peak_bytes"]
        rows.append(
            [
                label_of_entry(name, record),
                *(rate(measured[one.name]) for one in rates),
                DASH if name == "base" else _worst_ability(record),
                DASH if name == "base" else rate(measured["kl"], ".4f", 1),
                _count(record["trainable_parameters"]),
                _count(record["loss_tokens"]),
                _seconds(record["seconds"]),
                _seconds(record["seconds_in_all"]),
                DASH if peak is None else f"{peak / 2**30:.2f}",
                *(_p(found["tests"][rival].get(measure, {}), name) for rival, measure, _ in tested),
            ]
        )
    return rows


def ability_rows(found: dict[str, Any]) -> list[list[str]]:
    """The base's score in each general ability in %, and every method's difference to it in points; header first.

    Args:
        found: the content of `compare/compare.json`.
    """
    abilities, tests = list(found["methods"]["base"]["metrics"]["abilities"]), found["tests"]["base"]
    rows = [["method", *(name.replace("_", " ") for name in abilities)]]
    for name, record in found["methods"].items():
        scores = record["metrics"]["abilities"] if name == "base" else record["versus_base"]["abilities"]
        spec = ".1f" if name == "base" else "+.1f"
        cells = ((rate(scores.get(one), spec), tests[f"abilities.{one}"]) for one in abilities)
        rows.append([label_of_entry(name, record), *(_with_p(text, tested, name) for text, tested in cells)])
    return rows


def pinpoint_rows(found: dict[str, Any], behaviour: Behaviour = BUILT_IN) -> list[list[str]]:
    """Every method minus pinpoint tuning, item by item: rates and abilities in points, KL in nats; header first.

    Args:
        found: the content of `compare/compare.json`.
        behaviour: whose measures it holds.
    """
    abilities, tests = list(found["methods"]["base"]["metrics"]["abilities"]), found["tests"]["pinpoint"]
    rows = [["method", *behaviour.tested.values(), "KL", *(name.replace("_", " ") for name in abilities)]]
    for name, record in found["methods"].items():
        if name == "pinpoint":
            continue
        paired = record["versus_pinpoint"]
        cells = [(rate(paired[measure], "+.1f"), measure) for measure in behaviour.tested]
        cells += [(DASH if name == "base" else rate(paired["kl"], "+.4f", 1), "kl")]
        cells += [(rate(paired["abilities"].get(one), "+.1f"), f"abilities.{one}") for one in abilities]
        rows.append([label_of_entry(name, record), *(_with_p(text, tests.get(key, {}), name) for text, key in cells)])
    return rows


def searched_rows(found: dict[str, Any], name_of_rate: str) -> list[list[str]]:
    """Each method's chosen setting, and what was tried: the rate and the KL on validation items, with intervals and n.

    Args:
        found: the content of `compare/compare.json`.
        name_of_rate: the rate that is shown.
    """
    rows = []
    for name, record in found["methods"].items():
        if record["setting"]:
            place = "layer" if "layer" in record["setting"] else "heads"
            tried = [
                (f"{place} {one['place']}, " if one["place"] is not None else "")
                + f"{one['setting']:.2g}: {rate(one['estimates'][name_of_rate])}, "
                + f"KL {rate(one['estimates']['kl'], '.4f', 1)}"
                for one in record["searched"]
            ]
            rows.append([label_of_entry(name, record), _chosen(record["setting"]), "; ".join(tried)])
    return rows


def _chosen(setting: dict[str, Any]) -> str:
    parts = []
    for key, value in setting.items():
        shown = f"{value:.2g}" if isinstance(value, float) else ", ".join(value) if isinstance(value, list) else value
        parts.append(f"{key.replace('_', ' ')} {shown}")
    return "; ".join(parts) or DASH


_COUNTED = {
    "device": "the most that tensors held on the device during the method's training, the base among them",
    "process": "the most that the process held during the method's training, libraries and the base among it, as the "
    "kernel counts it anew for each",
    "samples": "the most that the process was seen to hold during the method's training, libraries and the base among "
    "it, at fifty looks a second",
}


def memory_words(found: dict[str, Any]) -> str:
    """What the column of peak memory holds."""
    counted = {record["peak_counted"] for record in found["methods"].values()} - {None}
    return "; ".join(words for kind, words in _COUNTED.items() if kind in counted)


def steps_words(found: dict[str, Any]) -> str:
    """In how many steps methods were trained."""
    steps = sorted({record["steps"] for record in found["methods"].values() if record["steps"]})
    return f"{' or '.join(map(str, steps))} steps"


def again_rows(found: dict[str, Any]) -> list[list[str]]:
    """Of each tuned head before and after, with intervals and n: effects, the paper's scores in %, and attention in %.

    Header first; nothing, where nothing was tuned. The paper's scores are not there where answers are read whole.
    """
    again = found["methods"]["pinpoint"].get("located_again")
    if not again:
        return []
    columns = [("effects", "effect", "+.3f", 1), ("published_effects", "published score, %", "+.2f", 1)]
    columns = [*(one for one in columns if one[0] in again), ("attention", "attention, %", ".1f", 100)]
    rows = [["head", *(f"{label}, {when}" for _, label, _, _ in columns for when in _WHEN)]]
    for head in found["heads"]:
        cells = (rate(again[told][when][head], spec, factor) for told, _, spec, factor in columns for when in _WHEN)
        rows.append([head, *cells])
    return rows
