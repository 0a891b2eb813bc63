"""What the chat's page shows, as HTML in which every word of a person or a model is text and nothing else."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pinpoint.chat import Lean, Lineup, Located, Turn
from pinpoint.cli._chat_terminal import SPAN, UNSURE, percent

# gr.HTML reads its value as a template once more.
_AS_TEXT = str.maketrans({"$": "&#36;", "{": "&#123;", "}": "&#125;", "`": "&#96;"})


def _width(log_odds: float) -> float:
    return 50 * min(abs(log_odds) / SPAN, 1.0)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["percent"] = percent
    return made


def conversation(turns: tuple[Turn, ...], *, problem: str = "", doing: str = "", lineup: Lineup | None = None) -> str:
    """What was said, then what is wrong or under way."""
    template = _environment().get_template("chat.html.jinja")
    drawn = template.render(
        turns=turns,
        problem=problem,
        doing=doing,
        lean=lineup.lean if lineup else Lean(),
        own=lineup is not None and not lineup.challenge,
        span=SPAN,
        unsure=UNSURE,
        width=_width,
        left=lambda log_odds: 50.0 if log_odds > 0 else 50.0 - _width(log_odds),
    )
    return drawn.translate(_AS_TEXT)


def heading(lineup: Lineup) -> str:
    """Who talks, and what the challenge is."""
    text = (
        "<h1>pinpoint chat</h1><p>{{ summary }}. {% if challenge %}The challenge: “{{ challenge }}”"
        "{% elif seconds %}“Challenge” says what the behaviour's test dialogues go on with."
        "{% else %}Its test dialogues have one turn each.{% endif %}</p>"
    )
    drawn = (
        _environment()
        .from_string(text)
        .render(summary=lineup.summary, challenge=lineup.challenge, seconds=bool(lineup.seconds))
    )
    return drawn.translate(_AS_TEXT)


def label(one: Located, unit: str) -> str:
    """What a head's switch says."""
    effect = "" if one.effect is None else f"  {one.effect:+.2f} {unit}".replace("-", "−")
    return f"{one.head}{effect}{', tuned' if one.tuned else ''}"


def bars(located: tuple[Located, ...]) -> str:
    """CSS that draws each switch's effect below it, as a share of the strongest."""
    strongest = max((abs(one.effect or 0.0) for one in located), default=0.0) or 1.0
    rule = (
        "#pp-heads label:nth-of-type({}) {{ background: linear-gradient(var(--pp-caves), var(--pp-caves)) 0 100% / "
        "{:.1f}% 3px no-repeat, var(--background-fill-secondary) }}"
    )
    return "\n".join(rule.format(i, 100 * abs(one.effect or 0.0) / strongest) for i, one in enumerate(located, 1))
