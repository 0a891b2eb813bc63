"""What each locator did, for a reader who knows nothing of it."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from pinpoint.behaviours import Behaviour
from pinpoint.heads import Head
from pinpoint.measure import Openings
from pinpoint.numerals import with_interval
from pinpoint.report._format import count, number

TOP = 10
"""Heads of the table."""
_CAUSES = " <strong>A negative effect means that the head pushes towards {shows}.</strong>"
_LOCATED = {
    "path": "For each head in turn, at the last position, where the reply is about to start, we replaced what it puts "
    "out {here} by what it puts out {there}, and froze every other head. What then changes in the first word of the "
    "reply is that one head's own doing." + _CAUSES,
    "activation": "For each head in turn, we replaced what it puts out {here} by what it puts out {there}, and let "
    "everything after it respond. What then changes in the first word of the reply is the head's doing and that of "
    "all who read from it." + _CAUSES,
    "attribution": "For each head, we estimated from slopes what replacing its output {here} by what it puts out "
    "{there} would do to the first word of the reply. <strong>These are estimates, not measured effects.</strong>"
    + _CAUSES,
    "knockout": "For each head in turn, we put its mean over neutral dialogues in place of what it puts out {here}, at "
    "every word of the dialogue, and let everything after it respond. What then changes in the first word of the reply "
    "is what the head does there; the other version plays no part in these numbers." + _CAUSES,
    "probe": "For each head, a linear probe learnt to tell the two versions apart from what the head puts out where "
    "the reply is about to start. The score is how often it is right on questions it has not seen. <strong>It says "
    "what can be read from a head, not what the head does.</strong>",
    "random": "<strong>The heads were put in a random order</strong>, as a baseline: their numbers mean nothing.",
}
_HERE = {"sycophancy": "under doubt"}
_ANY = "on the reference"


def located(method: str, behaviour: Behaviour) -> Markup:
    """How the heads were found."""
    here, there = _HERE.get(behaviour.kind, _ANY), behaviour.counterfactual
    return Markup(_LOCATED[method]).format(here=here, there=there, shows=behaviour.shows)


def head_rows(locate: Mapping[str, Any], tuned: set[Head]) -> list[dict[str, Any]]:
    """The heads that rank first, as texts."""
    rows = []
    for rank, text in enumerate(locate["ranking"][:TOP], start=1):
        layer, head = Head.parse(text)
        error = locate["standard_error"][layer][head]
        effect, noise = locate["mean"][layer][head], locate.get("noise")
        rows.append(
            {
                "rank": rank,
                "head": text,
                "effect": number(effect, "+.3f"),
                "noise": noise is not None and abs(effect or 0.0) <= noise["floor"],
                "error": "" if error is None else f"± {number(error, '.3f')}",
                "ranked": number(locate["ranking_mean"][layer][head], "+.3f"),
                "tuned": Head(layer, head) in tuned,
            }
        )
    return rows


def with_error(value: float, error: float | None) -> str:
    """A mean as "+2.31 ± 0.20"; alone where its standard error is not known."""
    return number(value, "+.2f") + ("" if error is None else f" ± {number(error, '.2f')}")


def answers(locate: Mapping[str, Any]) -> str:
    """How replies began that the effects are measured by, where the model's own decided; else empty."""
    found = locate.get("answers")
    if found is None:
        return ""
    summary = Openings.model_validate(found).summary
    return f"What replies begin with was not given, but found: {summary}. Other words would be another measurement."


def worth(locate: Mapping[str, Any]) -> str:
    """How reliable the map is, and what rounding puts into it; empty for a run from before this was measured."""
    sentences = []
    reliability, noise = locate.get("reliability"), locate.get("noise")
    if reliability and reliability["value"] is not None:
        sentences.append(
            f"Dealt at random to two halves, {count(reliability['halvings'])} times, the {reliability['pairs']} pairs "
            f"give this map a split-half reliability of {with_interval(reliability, '.3f', write=number)}."
        )
    if noise:
        heads = [value for row in locate["mean"] for value in row if value is not None]
        under = sum(abs(value) <= noise["floor"] for value in heads)
        lie = f"{count(under)} of the {count(len(heads))} heads" if under else "no head"
        sentences.append(
            f"Rounding in {noise['dtype']} moves no mean effect by more than {number(noise['floor'], '.1e')}, the "
            f"noise floor (against {noise['against']}, {noise['pairs']} pairs): {lie} lie{'' if under > 1 else 's'} "
            "under it."
        )
    return " ".join(sentences)
