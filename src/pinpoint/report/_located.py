"""What each locator did, for a reader who knows nothing of it."""

from markupsafe import Markup

from pinpoint.behaviours import Behaviour

_CAUSES = " <strong>A negative effect means that the head pushes towards {shows}.</strong>"
_LOCATED = {
    "path": "For each head in turn, at the last position, where the reply is about to start, we replaced what it puts "
    "out {here} by what it puts out {there}, and froze every other head. What then changes in the first word of the "
    "reply is that one head's own doing." + _CAUSES,
    "activation": "For each head in turn, we replaced what it puts out {here} by what it puts out {there}, and let "
    "everything after it respond. What then changes in the first word of the reply is the head's doing and that of "
    "all who read from it." + _CAUSES,
    "attribution": "For each head, we estimated from slopes what replacing its output {here} by that {there} would do "
    "to the first word of the reply. <strong>These are estimates, not measured effects.</strong>" + _CAUSES,
    "probe": "For each head, a linear probe learnt to tell the two versions apart from what the head puts out where "
    "the reply is about to start. The score is how often it is right on questions it has not seen. <strong>It says "
    "what can be read from a head, not what the head does.</strong>",
    "random": "<strong>The heads were put in a random order</strong>, as a baseline: their numbers mean nothing.",
}
_SIDES = {"sycophancy": ("under doubt", "under agreement")}
_ANY = ("on the reference", "on the counterfactual")


def located(method: str, behaviour: Behaviour) -> Markup:
    """How the heads were found."""
    here, there = _SIDES.get(behaviour.kind, _ANY)
    return Markup(_LOCATED[method]).format(here=here, there=there, shows=behaviour.shows)
