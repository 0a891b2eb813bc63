"""A chat in the terminal, or from a file of messages and commands."""

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pinpoint.chat import Gauge, Lean, Lineup, Reply, Session, Turn
from pinpoint.cli._console import results, safe
from pinpoint.errors import InputError, PinpointError, printable
from pinpoint.heads import Head

CAVES, STANDS = "dark_orange", "green"
UNSURE = 0.5  # probability of both beginnings below which the gauge says little
SPAN = 10  # nats on either side of the gauge's middle
_NARROW = 56  # columns below which replies stand under one another


class _Command(NamedTuple):
    does: Callable[[str], None]
    takes: str
    says: str


def percent(share: float) -> str:
    """A share in words that never round to nothing or to everything."""
    if share < 0.01:
        return "under 1\u00a0%"
    return "over 99\u00a0%" if share > 0.99 else f"{share:.0%}".replace("%", "\u00a0%")


def gauge_lines(gauge: Gauge, lean: Lean = Lean(), *, plain: bool) -> Text:  # noqa: B008 (it is a tuple)
    """The lean of a reply: a bar around zero, then nats and the share of the unwanted beginning."""
    cells = round(max(-1.0, min(1.0, gauge.log_odds / SPAN)) * SPAN)
    full, empty, middle = ("#", ".", "|") if plain else ("█", "·", "│")
    left, right = full * max(0, -cells), full * max(0, cells)
    return Text.assemble(
        f"{printable(lean.refrains)} ",
        (empty * (SPAN - len(left)), "dim"),
        (left, STANDS),
        middle,
        (right, CAVES),
        (empty * (SPAN - len(right)), "dim"),
        f" {printable(lean.shows)}\n",
        (
            f"{printable(lean.name)} {gauge.log_odds:+.2f} nats, {percent(gauge.share)}",
            CAVES if gauge.log_odds > 0 else STANDS,
        ),
        (f"\nboth beginnings together have {percent(gauge.mass)} only" if gauge.mass < UNSURE else "", "dim"),
    )


class TerminalChat:
    """Reads messages and commands, and shows what the models say.

    Args:
        lineup: who talks.
    """

    def __init__(self, lineup: Lineup) -> None:
        self.session, self.lineup, self.out = Session(lineup), lineup, results()
        self._commands = {
            "/challenge": _Command(self._challenge, "", _says(lineup)),
            "/ask": _Command(self._ask, "", "ask the next question that no model was tuned on"),
            "/heads": _Command(self._heads, "", "list the located heads and what is knocked out"),
            "/knock": _Command(
                self._knock, "HEADS", "knock heads of the base out: L5.H3 L6.H0, or 2 for the first two"
            ),
            "/restore": _Command(self._restore, "[HEADS]", "give heads back; all without names"),
            "/again": _Command(self._again, "", "let the base answer the last message again"),
            "/reset": _Command(self._reset, "", "forget the conversation; what is knocked out stays so"),
            "/help": _Command(self._help, "", "this list"),
            "/quit": _Command(self._quit, "", "leave; so do Ctrl-D and, at the prompt, Ctrl-C"),
        }

    def loop(self) -> None:
        """Until the input ends, or whoever types leaves."""
        self._greet()
        with suppress(EOFError, KeyboardInterrupt):
            for line in _lines(self._echo):
                self._take(line)
        if sys.stdin.isatty():
            self.out.print()

    def _take(self, line: str) -> None:
        """One message or command; what is wrong with it is said, and the chat goes on."""
        word, _, rest = line.partition(" ")
        try:
            if not line.startswith("/"):
                self._show(self.session.say(line))
            elif word in self._commands:
                self._commands[word].does(rest.strip())
            else:
                raise InputError(f"there is no command {word}.", mend="/help lists them.")
        except PinpointError as error:
            self.out.print(f"[red]{safe(str(error))}[/]")

    def _greet(self) -> None:
        self.out.print(f"[bold]{safe(self.lineup.summary)}[/]")
        doubts = ", /challenge doubts the answer" if self.lineup.challenge else ""
        self.out.print(f"/ask puts a question{doubts}, /help lists the rest, /quit leaves.")

    def _echo(self, line: str) -> None:
        self.out.print(Text(f"\n> {printable(line)}", style="bold"))

    def _show(self, turns: Iterator[Turn]) -> None:
        """Draws a turn as it grows; Ctrl-C cuts the replies short and stays."""
        with _cutting(self.session), Live(console=self.out, auto_refresh=False, transient=False) as live:
            for turn in turns:
                live.update(self._drawn(turn), refresh=self.out.is_terminal)
        if not self.out.is_terminal:
            self.out.print()

    def _drawn(self, turn: Turn) -> RenderableType:
        names = list(turn.replies)
        table = Table(box=SIMPLE_HEAD, expand=True, pad_edge=False, show_edge=False)
        if self.out.width < _NARROW:
            table.show_header = False
            table.add_column()
            for name in names:
                table.add_row(Text(name, style="bold"))
                self._fill(table, [turn.replies[name]])
            return table
        for name in names:
            table.add_column(Text(name), ratio=1, overflow="fold")
        self._fill(table, list(turn.replies.values()))
        return table

    def _fill(self, table: Table, replies: list[Reply]) -> None:
        table.add_row(*(_text(reply) for reply in replies))
        if any(reply.gauge for reply in replies):
            table.add_row(*(self._gauge(reply.gauge) if reply.gauge else "" for reply in replies))
        if any(reply.knocked for reply in replies):
            table.add_row(*(Text(_knocked(reply), style="dim") for reply in replies))

    def _gauge(self, gauge: Gauge) -> Text:
        return gauge_lines(gauge, self.lineup.lean, plain=self.out.options.ascii_only)

    def _challenge(self, _: str) -> None:
        text = self.session.next_challenge()
        self._echo(text)
        self._show(self.session.say(text))

    def _ask(self, _: str) -> None:
        question = self.session.question()
        self._echo(question)
        self._show(self.session.say(question))

    def _again(self, _: str) -> None:
        self._show(self.session.again())

    def _reset(self, _: str) -> None:
        self.session.reset()
        self.out.print("the conversation is forgotten.")

    def _help(self, _: str) -> None:
        table = Table.grid(padding=(0, 2))
        for name, command in self._commands.items():
            table.add_row(f"{name} {command.takes}".strip().replace("[", r"\["), safe(command.says))
        self.out.print(table)

    def _quit(self, _: str) -> None:
        raise EOFError

    def _heads(self, _: str) -> None:
        if not self.lineup.located:
            self.out.print("no head was located, since this is not a run; /knock takes any head of the model.")
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for title in ("rank", "head", f"effect ({self.lineup.unit})", "tuned", "in the base"):
            table.add_column(title, justify="right" if title.startswith(("rank", "effect")) else "left")
        for rank, (head, effect, tuned) in enumerate(self.lineup.located, 1):
            shown = "" if effect is None else f"{effect:+.3f}"
            table.add_row(str(rank), str(head), shown, "yes" if tuned else "", self._state(head))
        if table.rows:
            self.out.print(table)
        others = [head for head in self.session.knocked if head not in {one.head for one in self.lineup.located}]
        if others:
            self.out.print(f"also knocked out: {_names(others)}")

    def _state(self, head: Head) -> str:
        return "[bold]knocked out[/]" if head in self.session.knocked else "on"

    def _knock(self, text: str) -> None:
        heads = self._parsed(text)
        if not heads:
            raise InputError("no head is named.", where="/knock", mend="Write /knock L5.H3, or /knock 2.")
        if not self.lineup.base.measured:
            self.out.print("measuring what the heads put out on neutral dialogues ...")
        self.lineup.base.measure()
        self._switched(lambda: self.session.knock(heads))

    def _restore(self, text: str) -> None:
        self._switched(lambda: self.session.restore(self._parsed(text) or None))

    def _switched(self, switch: Callable[[], None]) -> None:
        """Switches heads, and says what that does to the answer to the last message."""
        before = self.session.gauge()
        switch()
        knocked = self.session.knocked
        self.out.print(f"knocked out in the base: {_names(knocked) if knocked else 'nothing'}")
        after = self.session.gauge()
        if before and after:
            self.out.print(
                f"{safe(self.lineup.lean.name)} of its answer to the last message: {before.log_odds:+.2f} -> "
                f"{after.log_odds:+.2f} nats; /again has it answered"
            )

    def _parsed(self, text: str) -> list[Head]:
        """Heads by name, or the first so many of those located."""
        if text.isascii() and text.isdigit():
            located = self.lineup.located
            many = len(text) > 6  # Python reads no number of thousands of digits
            if many or not 1 <= int(text) <= len(located):
                asked = "so many" if many else text
                raise InputError(f"{asked} heads cannot be taken: {len(located)} are located.", mend="See /heads.")
            return [one.head for one in located[: int(text)]]
        return [Head.parse(name.upper()) for name in re.split(r"[\s,]+", text) if name]


def _says(lineup: Lineup) -> str:
    if lineup.challenge:
        return f"say “{lineup.challenge}”"
    return "say what its test dialogues go on with" if lineup.seconds else "nothing: its dialogues have one turn each"


def _text(reply: Reply) -> Text:
    said = Text(printable(reply.text))
    if reply.state == "cut":
        said.append(" [cut]", style="dim")
    elif not reply.text:
        said.append("..." if reply.state == "writing" else "(nothing)", style="dim")
    return said


def _names(heads: Any) -> str:
    return ", ".join(map(str, heads))


def _knocked(reply: Reply) -> str:
    return f"knocked out: {_names(reply.knocked)}" if reply.knocked else ""


def _lines(echo: Callable[[str], None]) -> Iterator[str]:
    """What is typed, or what a file or pipe holds; blank lines are left out."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                echo(line.strip())
                yield line.strip()
        return
    with suppress(ImportError):
        import readline  # noqa: F401  (editing and history for `input`)
    while True:
        line = input("\n> ").strip()
        if line:
            yield line


@contextmanager
def _cutting(session: Session) -> Iterator[None]:
    """Ctrl-C ends the replies; a second one, where a model does not heed the first, ends the chat."""

    def cut(_signal: int, _frame: FrameType | None) -> None:
        session.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, cut)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
