"""Sentences that the numbers decide. A finding against the method is said as plainly as one for it."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pinpoint.behaviours import Behaviour
from pinpoint.report._format import (
    GAP,
    IN_NATS,
    NBSP,
    RATE,
    all_of,
    cases,
    count,
    duration,
    number,
    percent,
    quantity,
    ratio,
)
from pinpoint.report._rows import label_of

METRICS = {
    "logit_diff": "the mean logit of the first words of {shows} minus that of {refrains}",
    "log_odds": "the log-odds of the first words of {shows} against those of {refrains}",
    "paper_share": "the share of {shows} in the raw logits of both kinds of first words, as in the paper",
    "logprob_diff": "the log-probability of {shows} minus that of {refrains}, over every token of the answers given",
    "mean_logprob_diff": "the log-probability of {shows} minus that of {refrains}, per token of the answers given",
}
_KNOCKED = {
    "mean": "its output is replaced, everywhere in the dialogue, by its mean over neutral dialogues",
    "zero": "its output is set to zero, everywhere in the dialogue",
    "resample": "its output is replaced by what it puts out {counterfactual}",
}
_NAMED = 8


def metric_words(metric: str, behaviour: Behaviour) -> str:
    """A metric said in words; its name where it has none."""
    return METRICS.get(metric, metric).format(shows=behaviour.shows, refrains=behaviour.refrains)


def knocked_words(mode: str, behaviour: Behaviour) -> str:
    """What happens to a head that is knocked out."""
    return _KNOCKED.get(mode, mode).format(counterfactual=behaviour.counterfactual)


def nats(value: float | None) -> str:
    """A divergence with its unit."""
    return quantity(value, IN_NATS)


def _side(estimate: Mapping[str, Any] | None) -> int:
    """Whether a difference lies under (-1) or over (1) zero with its whole interval; else 0."""
    if estimate is None or estimate["low"] is None or estimate["high"] is None:
        return 0
    if estimate["low"] > 0:
        return 1
    return -1 if estimate["high"] < 0 else 0


def short_name(model: str) -> str:
    """A model's Hub id, or the last part of the path of a local one."""
    return Path(model).name if Path(model).is_absolute() else model


def settings_shown(settings: Any) -> Any:
    """Settings for a page that is passed on: files and folders by their names, without where they lie."""
    if isinstance(settings, dict):
        return {key: settings_shown(value) for key, value in settings.items()}
    if isinstance(settings, list):
        return [settings_shown(value) for value in settings]
    # One that begins with a slash may be words to a model: "/no_think".
    is_path = isinstance(settings, str) and Path(settings).is_absolute() and len(Path(settings).parts) > 2
    return Path(settings).name if is_path else settings


def lead(summary: dict[str, Any], size: int, challenge: str | None) -> list[str]:
    """What was wrong, what was changed and what came of it, in a few sentences each.

    Args:
        summary: the run's summary.
        size: number of heads of the model.
        challenge: words of a challenge, as an example.
    """
    base, tuned = summary["methods"]["base"], summary["methods"].get("pinpoint")
    said = f" (“{challenge}”)" if challenge else ""
    wrong = (
        f"When {short_name(summary['model'])} had answered a question right and the user then doubted it{said}, it "
        f"took its answer back in {cases(base.get('confidence'), flipped=True)} and ended on a wrong answer in "
        f"{cases(base.get('truthfulness'), flipped=True)}."
    )
    if tuned is None:
        return [wrong]
    return [wrong, _changed(summary, tuned, size), f"{_outcome(base, tuned)}{_price(tuned)}"]


def _named(heads: list[str]) -> str:
    more = len(heads) - _NAMED
    return ", ".join(heads[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _changed(summary: dict[str, Any], tuned: dict[str, Any], size: int) -> str:
    heads, trained, total = len(summary["heads"]), tuned["trainable_parameters"], summary["total_parameters"]
    return (
        f"Of its {count(size)} attention heads, {count(heads)} ({ratio(heads, size)}) were singled out "
        f"({_named(summary['heads'])}), and only they were trained: {count(trained)} of {count(total)} parameters "
        f"({ratio(trained, total)}), in "
        f"{duration(tuned['seconds'])}."
    )


def plain_lead(summary: dict[str, Any], size: int, behaviour: Behaviour) -> list[str]:
    """The same for a behaviour that brings no wording of its own: its measures, before and after."""
    base, tuned = summary["methods"]["base"], summary["methods"].get("pinpoint")

    def described(method: dict[str, Any]) -> str:
        return "; ".join(f"{one.label}: {all_of(method.get(one.name), RATE)}" for one in behaviour.measures)

    wrong = f"{short_name(summary['model'])} was measured for {behaviour.title}. Before tuning: {described(base)}."
    if tuned is None:
        return [wrong]
    return [wrong, _changed(summary, tuned, size), f"After tuning: {described(tuned)}.{_price(tuned)}"]


def _verdict(difference: Mapping[str, Any] | None) -> str:
    if difference is None or difference["low"] is None or not difference["value"]:
        return "."
    return {
        -1: "; that is a loss beyond chance: it has also become more stubborn.",
        0: "; the difference may be chance.",
        1: "; that is a gain.",
    }[_side(difference)]


def _outcome(base: dict[str, Any], tuned: dict[str, Any]) -> str:
    accepts = (
        f"When its first answer was wrong, the same challenge led it to the right one in "
        f"{cases(tuned.get('correction_acceptance'))} (before: {cases(base.get('correction_acceptance'))})"
        f"{_verdict(tuned.get('versus_base', {}).get('correction_acceptance'))}"
    )
    return (
        f"Now it takes a right answer back in {cases(tuned.get('confidence'), flipped=True)} and ends on a wrong one "
        f"in {cases(tuned.get('truthfulness'), flipped=True)}. {accepts}"
    )


def _price(tuned: dict[str, Any]) -> str:
    moved = tuned.get("kl")
    if moved is None or moved["value"] is None:
        return ""
    return (
        " The price: on neutral text, its predictions moved from the original's by a KL divergence of "
        f"{all_of(moved, IN_NATS)}."
    )


def losses(summary: dict[str, Any]) -> list[str]:
    """For each tuned method, which abilities fell by more than chance explains."""
    sentences = []
    for name, method in summary["methods"].items():
        differences = method.get("versus_base", {})
        measured = dict(differences.get("abilities", {}))
        if differences.get("accuracy_before") is not None:
            measured["accuracy before the challenge"] = differences["accuracy_before"]
        if not measured:
            continue
        fallen = [
            f"{label.replace('_', ' ')} ({all_of(found, GAP)})" for label, found in measured.items() if _side(found) < 0
        ]
        where = ", ".join(fallen) or "none"
        sentences.append(f"Of {len(measured)} measures of ability, {label_of(name)} lost beyond chance in {where}.")
    return sentences


def agreement(ranking: Sequence[Sequence[float | None]], shown: Sequence[Sequence[float | None]]) -> str | None:
    """How well the effects of the two halves of the pairs agree, as a correlation; None where it is undefined."""
    pairs = [
        (a, b)
        for ours, theirs in zip(ranking, shown, strict=True)
        for a, b in zip(ours, theirs, strict=True)
        if a is not None and b is not None
    ]
    try:
        return number(statistics.correlation(*zip(*pairs, strict=True)), ".3f")
    except (statistics.StatisticsError, TypeError):
        return None


class Drop(NamedTuple):
    """How far knocking out `heads` heads lowers the log-odds of the behaviour."""

    heads: int
    start: float
    ranked: float
    random: list[float]
    matched: list[float]
    upper: float | None


def drop_at(curve: dict[str, Any], heads: int) -> Drop:
    """Reads the knockout curves at a number of heads, or at their end where they are shorter."""
    at = min(heads, len(curve["ranked"]) - 1)
    start = curve["ranked"][0]["value"]
    return Drop(
        heads=at,
        start=start,
        ranked=start - curve["ranked"][at]["value"],
        random=[start - draw[at] for draw in curve["random"]],
        matched=[start - draw[at] for draw in curve["matched"]],
        upper=curve["ranked"][at]["high"],
    )


def knockout_words(drop: Drop, shows: str = "caving") -> list[str]:
    """What the knockout curve shows at a number of heads, and whether the controls show it too."""
    what = f"the first {drop.heads} heads of the ranking" if drop.heads > 1 else "the first head of the ranking"
    end = drop.start - drop.ranked
    sentences = [
        f"Knocking out {what} takes the log-odds of {shows} from {number(drop.start, '.2f')} to {number(end, '.2f')}: "
        f"a drop of {number(drop.ranked, '.2f')} nats."
    ]
    for draws, words in (
        (drop.random, "heads drawn at random"),
        (drop.matched, "other heads of the same layers"),
    ):
        if draws:
            mean, low, high = (number(one, ".2f") for one in (statistics.mean(draws), min(draws), max(draws)))
            sentences.append(f"As many {words}: {mean} nats on average over {len(draws)} draws ({low} to {high}).")
    return [" ".join(sentences), _conclusion(drop)]


def _conclusion(drop: Drop) -> str:
    controls = [*drop.random, *drop.matched]
    if drop.ranked <= 0:
        return "The knockout does not weaken the behaviour: it does not show that these heads carry it."
    if not controls:
        return "There are no control draws to compare this with."
    most = max(controls)
    if drop.ranked <= most:
        return (
            "That is not more than the controls show: some draw of other heads does as much. The knockout does not "
            "prove that these heads in particular carry the behaviour."
        )
    if drop.upper is None or drop.start - drop.upper <= most:
        return (
            "That is more than any control draw shows, but the interval reaches into the controls: take it as a hint, "
            "not as proof."
        )
    return (
        "With its whole interval that is more than any control draw shows: the behaviour hangs on these heads, not on "
        "just any heads, nor on just any heads of their layers."
    )


def auto_words(verify: dict[str, Any], heads: int, asked: Any) -> str:
    """The rule that chooses how many heads to tune, and whether it did."""
    rule = (
        f"The rule called auto takes the fewest heads of the ranking whose knockout reaches "
        f"{100 * verify['share']:g}{NBSP}% of the drop between no heads and {verify['max_heads']}."
    )
    auto = verify["auto"]
    found = "Here there is no drop, so it finds none." if auto is None else f"Here that is {auto}."
    if asked == "auto":
        tuned = "These were tuned." if auto == heads else f"{heads} were tuned (the most that the settings allow)."
    elif asked == "validation":
        tuned = f"It was not used: of the numbers tried, {heads} did best on the validation questions."
    else:
        tuned = f"It was not used: the settings ask for {heads}."
    return f"{rule} {found} {tuned}"


def wrong_words(counts: Mapping[str, Any] | None) -> str:
    """Where the wrong answers come from that are revised in training; empty where none was to be written."""
    if counts is None or not counts["questions"]:
        return ""
    return (
        f"Of {count(counts['questions'])} free-form training questions, {count(counts['from_file'])} have the wrong "
        f"answer of their file, {count(counts['written'])} one that the base model wrote, and "
        f"{count(sum(counts['refused'].values()))} that of another question: what it wrote was refused by rules."
    )


def explained_words(counts: Mapping[str, Any] | None) -> str:
    """How many trained replies explain the right answer, and who wrote it; empty where none was to."""
    if counts is None:
        return ""
    refused = sum(counts["refused"].values())
    return (
        f"Of {count(counts['questions'])} training questions, {count(counts['from_file'])} have the right answer "
        f"explained in the replies as their file does, and {count(counts['written'])} in the base model's own words; "
        f"{count(refused)} more explanations that it wrote were refused by rules."
    )


def cost_words(summary: dict[str, Any], rate: str = "truthfulness", words: str = "truthfulness") -> list[str]:
    """How far each tuned method had moved when it first reached the same value of a rate, which `words` names."""
    matched = summary["matched_kl"]
    target = percent(matched[rate])
    sides = {name: matched.get(name) for name in summary["methods"] if name != "base"}
    sentences = [
        f"{label_of(name)} first reached {target} {words} on the validation questions at step "
        f"{found['step']}, {nats(found['kl'])} away from the base."
        if found
        else f"{label_of(name)} reached {target} {words} on the validation questions at no check."
        for name, found in sides.items()
    ]
    ours, theirs = sides.get("pinpoint"), sides.get("full")
    if ours and theirs and ours["kl"] and theirs["kl"]:
        times = theirs["kl"] / ours["kl"]
        factor = number(max(times, 1 / times), ".1f")
        sentences.append(
            f"At the same {words}, full fine-tuning is {factor} times as far from the base."
            if times >= 1
            else f"At the same {words}, pinpoint tuning is {factor} times as far: full fine-tuning is gentler."
        )
    return sentences
