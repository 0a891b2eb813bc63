"""Named checks of models that think before they reply."""

from collections.abc import Mapping, Sequence

from pinpoint.checks import CheckResult

_THINKING = {True: "on", False: "off", None: "as the template has it"}


def thinking_alike(modes: Mapping[str, bool | None]) -> CheckResult:
    """What was located, tuned and is evaluated thought alike: else their numbers are of different prompts.

    Args:
        modes: by stage, the setting `thinking` that it was done with.
    """
    return CheckResult(
        name="thinking is the same from locating to evaluation",
        ok=len(set(modes.values())) == 1,
        detail="; ".join(f"{stage}: {_THINKING[mode]}" for stage, mode in modes.items()),
        mend="Set `thinking` back in config.yaml, or locate and tune again with it as it is.",
    )


def thoughts_end(methods: Mapping[str, Sequence[int]], most: int) -> CheckResult:
    """A model that thinks before it replies comes to its reply.

    Args:
        methods: per method, of each dialogue how many of its thoughts did not end.
        most: tokens that a thought and its reply may have together.
    """
    over_limit = [
        f"{name}: {sum(counts)} in {sum(map(bool, counts))} of {len(counts)} dialogues"
        for name, counts in methods.items()
        if any(counts)
    ]
    return CheckResult(
        name="every thought comes to its end",
        ok=not over_limit,
        detail=f"cut at {most} tokens (`evaluate.max_new_tokens`), with no reply: {', '.join(over_limit) or 'none'}",
        stops=False,
        mend="Raise evaluate.max_new_tokens, or give --thinking off.",
    )


def reply_measured(closes: bool) -> CheckResult:
    """What is measured is how the reply begins, not how a thought before it does."""
    return CheckResult(
        name="what is measured is the reply",
        ok=closes,
        detail="an empty thought goes before it"
        if closes
        else "the chat template knows thoughts and no empty one, so if the model thinks first, its heads' effects are "
        "on how the thought begins",
        stops=False,
        mend="With a template that has a choice of thinking, --thinking off measures the reply.",
    )
