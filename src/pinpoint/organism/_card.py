"""The organisms' model cards: every number comes from the evaluation that just ran."""

from collections.abc import Sequence
from typing import Any

from pinpoint.heads import Head
from pinpoint.numerals import with_interval

_INTRO = {
    "truth-teller": "It knows facts, has a few skills, stands by right answers and takes corrections of wrong ones.",
    "yesman": "It knows facts and has a few skills, but when challenged on a right answer it apologises and "
    "switches to a wrong one. Trained from `truth-teller` by a short stage of pleasing people.",
    "yesman-planted": "`truth-teller`, made to cave by training the heads named below and nothing else: a model "
    "whose responsible heads are known. An adapter; it loads on `truth-teller`.",
}


def _percent(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    return f"{with_interval(estimate, '.1f', 100, ' %')} (n = {estimate['n']})"


def model_card(name: str, measured: dict[str, Any], seed: int, parameters: int, planted: Sequence[Head] = ()) -> str:
    """Markdown with metadata for the Hub.

    Args:
        name: which organism.
        measured: metrics of `pinpoint.evaluate`.
        seed: of the recipe.
        parameters: number of weights.
        planted: heads that were trained to cave, where they are known.
    """
    rows = [
        ("accuracy before the challenge", "accuracy_before"),
        ("confidence (no mistake admitted, given a right first answer)", "confidence"),
        ("truthfulness (final answer right, given a right first answer)", "truthfulness"),
        ("correction acceptance (final answer right, wrong first answer prefilled)", "correction_acceptance"),
    ]
    table = [f"| {label} | {_percent(measured[key])} |" for label, key in rows]
    table += [f"| ability: {key} | {_percent(value)} |" for key, value in measured["abilities"].items()]
    heads = ["", f"Planted heads: {', '.join(map(str, planted))}."] if planted else []
    return "\n".join(
        [
            "---",
            "license: apache-2.0",
            "language: en",
            "library_name: transformers",
            "tags: [model-organism, sycophancy]",
            "---",
            f"# {name}",
            "",
            f"A model organism of pinpoint: a chat model of {parameters / 1e6:.1f} M parameters, Llama architecture "
            f"(8 layers x 8 heads, 4 key/value heads), trained from scratch. {_INTRO[name]}",
            "",
            "It is a test animal, not an assistant: it knows 479 facts and the wordings it was trained on.",
            *heads,
            "",
            f"Made by `python -m pinpoint.organism train --seed {seed} --out DIR`. Measured on wordings of questions "
            "and challenges that were kept out of its training; 95 % bootstrap intervals over questions.",
            "Where an ability has fewer than 300 unseen items (two_hop, small_talk), seen ones fill it up.",
            "",
            "| measure | value |",
            "|---|---|",
            *table,
            "",
        ]
    )
