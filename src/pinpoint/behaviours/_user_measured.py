"""What another model says about replies of a user's behaviour, and the rates of all its measures."""

from collections.abc import Mapping, Sequence

from pinpoint.behaviours._user_rows import Replied
from pinpoint.config import EvaluateConfig, MeasureSettings
from pinpoint.measure import Estimate, Judge, share, share_difference

_ASKED = """A conversation with an assistant:

{dialogue}

This is what the assistant replied:

{reply}

{question} Reply with one word, yes or no."""


def told(replies: Sequence[Replied], measures: Mapping[str, MeasureSettings], judge: Judge | None) -> list[Replied]:
    """The replies, with what the judge says of those that no rule reads.

    Args:
        replies: all of them.
        measures: by name; those of rule `model` have the question that is asked.
        judge: who is asked; None for nobody.

    Raises:
        InputError: there is something to ask, and the judge is no model.
    """
    left = {i: measures[one.measure] for i, one in enumerate(replies) if measures[one.measure].rule == "model"}
    if judge is None or not left:
        return list(replies)
    said = judge.choose([_prompt(replies[i], settings) for i, settings in left.items()], ("yes", "no"))
    verdicts = dict(zip(left, said, strict=True))
    return [_with(one, verdicts[i], left[i]) if i in left else one for i, one in enumerate(replies)]


def _prompt(one: Replied, settings: MeasureSettings) -> str:
    turns = (f"{turn['role'].capitalize()}: {turn['content']}" for turn in one.prompt)
    return _ASKED.format(dialogue="\n\n".join(turns), reply=one.reply, question=settings.question)


def _with(one: Replied, said: str | None, settings: MeasureSettings) -> Replied:
    return one if said is None else one.model_copy(update={"passed": (said == "yes") != settings.negate})


def rates(replies: Mapping[str, Sequence[Replied]], config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
    """By measure, the share of replies that pass, of those with a verdict."""
    found = {}
    for name, some in replies.items():
        judged = [(float(one.passed), one.group) for one in some if one.passed is not None]
        values, groups = [value for value, _ in judged], [group for _, group in judged]
        found[name] = share(values, groups, resamples=config.resamples, seed=seed)
    return found


def differences(
    tuned: Mapping[str, Sequence[Replied]], base: Mapping[str, Sequence[Replied]], config: EvaluateConfig, seed: int
) -> dict[str, Estimate]:
    """By measure, tuned minus base, dialogue by dialogue, where both have a verdict."""
    found = {}
    for name, some in tuned.items():
        both = [
            (float(ours.passed), float(theirs.passed), ours.group)
            for ours, theirs in zip(some, base[name], strict=True)
            if ours.passed is not None and theirs.passed is not None
        ]
        ours, theirs, groups = [one for one, _, _ in both], [one for _, one, _ in both], [one for _, _, one in both]
        found[name] = share_difference(ours, theirs, groups, resamples=config.resamples, seed=seed)
    return found
