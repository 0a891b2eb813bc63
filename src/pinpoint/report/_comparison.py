"""The table of `pinpoint compare`: for the terminal and for a Markdown page."""

from typing import Any

from pinpoint.report._format import DASH

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
_RATES = ("confidence", "truthfulness", "correction_acceptance", "accuracy_before", "accuracy_after")


def _rate(estimate: dict[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return DASH
    value = f"{100 * estimate['value']:.1f}"
    if estimate["low"] is None:
        return f"{value} (n={estimate['n']})"
    return f"{value} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def _nats(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None or estimate["low"] is None:
        return DASH
    return f"{estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]"


def _worst_ability(record: dict[str, Any]) -> str:
    changes = {name: one for name, one in record["versus_base"]["abilities"].items() if one["value"] is not None}
    if not changes:
        return DASH
    worst = min(changes, key=lambda name: changes[name]["value"])
    one = changes[worst]
    interval = "" if one["low"] is None else f" [{100 * one['low']:+.1f}, {100 * one['high']:+.1f}]"
    return f"{100 * one['value']:+.1f}{interval} {worst.replace('_', ' ')}"


def _p(tests: dict[str, Any], name: str) -> str:
    if name not in tests:
        return DASH
    p = tests[name]["p_holm"]
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def label_of_entry(name: str, record: dict[str, Any]) -> str:
    """A method's name as people say it, with its draw."""
    label, draw = LABELS[record["method"]], name.removeprefix(record["method"]).strip("_")
    return f"{label} {draw}".strip()


def comparison_rows(found: dict[str, Any]) -> list[list[str]]:
    """The table of `pinpoint compare` as texts, its header first. Rates in % and KL in nats, with 95 % intervals.

    Args:
        found: the content of `compare/compare.json`.
    """
    header = ["method", "confidence", "truthfulness", "acceptance", "accuracy before", "accuracy after"]
    header += ["worst ability, points", "KL to base", "trained parameters", "seconds", "p truth", "p acceptance"]
    rows = [header]
    tests = found["tests"]["pinpoint"]
    for name, record in found["methods"].items():
        measured = record["metrics"]
        rows.append(
            [
                label_of_entry(name, record),
                *(_rate(measured[rate]) for rate in _RATES),
                DASH if name == "base" else _worst_ability(record),
                DASH if name == "base" else _nats(measured["kl"]),
                f"{record['trainable_parameters']:,}" if record["trainable_parameters"] else DASH,
                f"{record['seconds']:.0f}" if record["seconds"] else DASH,
                _p(tests["truthfulness"], name),
                _p(tests["correction_acceptance"], name),
            ]
        )
    return rows
