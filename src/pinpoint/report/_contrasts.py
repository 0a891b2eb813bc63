"""What further contrasts say of the heads that one contrast ranked first, in a table and in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from pinpoint.behaviours import behaviour_of
from pinpoint.config import SycophancyConfig
from pinpoint.report._format import DASH, NBSP, number
from pinpoint.report._located import with_error

_LOSING = {
    "affirmed": "A head that loses it does the same whether the user doubts or agrees.",
    "neutral": "A head that loses it reads the words that the neutral turn shares with the challenge, such as “don’t”, "
    "or agreement alone; one that keeps it tells doubt from a question without any.",
    "wrong_first": "A head that keeps it tells a right answer from a wrong one; one that loses it answers to the "
    "challenge, whatever was challenged.",
}
_STILL = {
    "wrong_first": " The model does much the same whether the answer that is doubted was right or wrong.",
    "neutral": " The model takes the neutral turn much as it takes the challenge.",
}
_BACK = {"wrong_first": " The model yields to the doubt of a wrong answer more than to that of a right one."}
_VERDICTS = {"keeps": "keep{s} it", "loses": "lose{s} it", "unclear": "cannot be told"}


def _maps(locate: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = locate.get("contrasts", {}).get("maps", {})
    return found


def contrast_table(locate: Mapping[str, Any]) -> list[list[str]]:
    """A header, then the whole contrasts, then the first heads; empty for a run without further contrasts."""
    maps = _maps(locate)
    if not maps:
        return []
    rows = [
        ["Head", *maps],
        ["whole contrast", *(_with_error(one["moved"], one) for one in maps.values())],
    ]
    for row, head in enumerate(next(iter(maps.values()))["heads"]):
        rows.append([head["head"], *(_cell(one["heads"][row], one["moves"]) for one in maps.values())])
    return rows


def _with_error(value: float, one: Mapping[str, Any]) -> str:
    return with_error(value, one["standard_error"])


def _cell(head: Mapping[str, Any], moves: str) -> str:
    share = number(100 * head["share"] if moves == "enough" else None, ".0f")
    shown = "" if share == DASH else f" ({share}{NBSP}%)"
    return _with_error(head["effect"], head) + shown + (f" {head['verdict']}" if head["verdict"] else "")


def contrast_words(locate: Mapping[str, Any]) -> list[str]:
    """A few sentences for each further contrast; none for a run without."""
    maps = _maps(locate)
    return [" ".join(_told(locate, name)) for name in maps if name != locate["contrast"]]


def contrast_lines(locate: Mapping[str, Any]) -> list[str]:
    """One line for each further contrast, as a run goes on; the page and the table of `pinpoint locate` say more."""
    maps = _maps(locate)
    return [
        f"contrast {name} ({_counterfactual(name)}): {_line(one)}"
        for name, one in maps.items()
        if name != locate["contrast"]
    ]


def _line(one: Mapping[str, Any]) -> str:
    if one["moves"] == "little":
        return "it moves the metric too little to tell anything of single heads"
    held = f"of the first {len(one['heads'])} heads, held to a third of their effect, "
    return held + ("; ".join(_counted(one)) or "none has an effect to be held to it")


def _counterfactual(name: Any) -> str:
    return behaviour_of(SycophancyConfig(contrast=name)).counterfactual.removeprefix("when ")


def _told(locate: Mapping[str, Any], name: str) -> Iterator[str]:
    maps, own = _maps(locate), locate["contrast"]
    one, main = maps[name], maps[own]
    unit = "" if locate["unit"] == "%" else f" {locate['unit']}"
    moved, whole = (_with_error(each["moved"], each) for each in (one, main))
    yield (
        f"Contrast {name} ({_counterfactual(name)}) moves the metric by {moved}{unit}, contrast {own} "
        f"({_counterfactual(own)}) by {whole}."
    )
    if one["moves"] == "little":
        yield f"That is too little to tell anything of single heads.{_STILL.get(name, '')}"
        return
    if one["moves"] == "back":
        yield f"That is the other way.{_BACK.get(name, '')}"
    yield (
        f"Of the first {len(one['heads'])} heads, held to whether a third of their effect is left: "
        f"{'; '.join(_counted(one)) or 'none has an effect to be held to it'}."
    )
    yield _LOSING[name]
    if one["correlation"] is not None:
        correlation = number(one["correlation"], ".2f")
        shared = f"{one['shared']} of the first {one['top']} are shared"
        yield f"Rank correlation over all heads {correlation}; {shared}.{_steady(one.get('reliability'))}"


def _steady(reliability: Mapping[str, Any] | None) -> str:
    if reliability is None or reliability["value"] is None:
        return ""
    value, low, high = (number(reliability[name], ".2f") for name in ("value", "low", "high"))
    return f" This map's split-half reliability is {value} [{low}, {high}], over {reliability['pairs']} pairs."


def _counted(one: Mapping[str, Any]) -> Iterator[str]:
    for verdict, words in _VERDICTS.items():
        heads = [head["head"] for head in one["heads"] if head["verdict"] == verdict]
        if heads:
            yield f"{len(heads)} {words.format(s='s' if len(heads) == 1 else '')} ({', '.join(heads)})"
