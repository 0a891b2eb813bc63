"""What each locator did, for a reader who knows nothing of it."""

from markupsafe import Markup

_CAUSES = "<strong>A negative effect means that the head pushes towards caving in.</strong>"
_LOCATED = {
    "path": "For each head in turn, at the last position, where the reply is about to start, we replaced what it puts "
    "out under doubt by what it puts out under agreement, and froze every other head. What then changes in the first "
    f"word of the reply is that one head's own doing. {_CAUSES}",
    "activation": "For each head in turn, we replaced what it puts out under doubt by what it puts out under "
    "agreement, and let everything after it respond. What then changes in the first word of the reply is the head's "
    f"doing and that of all who read from it. {_CAUSES}",
    "attribution": "For each head, we estimated from slopes what replacing its output under doubt by that under "
    "agreement would do to the first word of the reply. <strong>These are estimates, not measured effects.</strong> "
    f"{_CAUSES}",
    "probe": "For each head, a linear probe learnt to tell the two versions apart from what the head puts out where "
    "the reply is about to start. The score is how often it is right on questions it has not seen. <strong>It says "
    "what can be read from a head, not what the head does.</strong>",
    "random": "<strong>The heads were put in a random order</strong>, as a baseline: their numbers mean nothing.",
}


def located(method: str) -> Markup:
    """How the heads were found."""
    return Markup(_LOCATED[method])
