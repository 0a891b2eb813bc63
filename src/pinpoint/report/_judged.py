"""Who judged the replies of a run, for its page and its card."""

from typing import Any

from pinpoint.behaviours import Behaviour
from pinpoint.report._rows import further_titles
from pinpoint.report._words import short_name


def other_judge(summary: dict[str, Any], behaviour: Behaviour, *, built_in: bool) -> dict[str, Any] | None:
    """Who judged, where it was not rules alone.

    Returns:
        `name`; how many verdicts were `asked` for, and how many of them `unparseable`; `all`, whether it judged all
        replies, as of the built-in behaviour; else in `replies` which: of a behaviour with rules of its own, those of
        the measures that leave it to a model, and those to further sets.
    """
    judge = summary.get("judge")
    if judge is None or judge["name"] == "rules":
        return None
    labels = [f"“{one.label}”" for one in behaviour.measures if one.name in behaviour.judged_by_model]
    replies = [f"those that count for {', '.join(labels)}"] if labels else []
    if further_titles(summary):
        replies.append("those to the sets that nothing was trained on")
    if not (built_in or replies):
        return None
    name = "letters alone" if judge["name"] == "letters" else short_name(judge["name"])
    return dict(judge) | {"name": name, "all": built_in, "replies": replies}
