"""What the command line draws: progress on stderr, results on stdout."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from rich import markup
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from pinpoint.errors import StorageError, printable
from pinpoint.masking import masked_text
from pinpoint.memory import peak
from pinpoint.storage import appending, storing

talk = Console(stderr=True, highlight=False, emoji=False)

GOES_ON = "stopped: the same command goes on from here."
"""What Ctrl-C is answered with, where what was done is kept."""

_PLAIN_EVERY = 5.0


def safe(text: str) -> str:
    """Text of a model, a file or a person, for a console: it is shown, and neither markup nor a command."""
    return markup.escape(printable(text))


def _memory() -> str:
    held = peak()
    return "" if held is None else f"peak {decimal(held)}"


class _PaceColumn(ProgressColumn):
    """Steps a second, and the most memory held so far."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        """What goes into the row."""
        speed = task.finished_speed or task.speed
        return Text("  ".join(filter(None, ("" if speed is None else f"{speed:.3g}/s", _memory()))))


class Terminal:
    """Progress bars where there is a terminal, a line every few seconds where there is none.

    Args:
        quiet: show neither.
        stopped: what Ctrl-C is answered with, even then; empty for nothing.
    """

    def __init__(self, *, quiet: bool, stopped: str = GOES_ON) -> None:
        self._quiet, self._stopped, self._part = quiet, stopped, ""
        self._bars = None
        if not quiet and talk.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bars = Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), _PaceColumn(), console=talk)
        self._task: TaskID | None = None
        self._log: Path | None = None
        self._what, self._done, self._total, self._told, self._began = "", 0, 0, 0.0, 0.0

    def __enter__(self) -> "Terminal":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()
        if self._stopped and kind is not None and issubclass(kind, KeyboardInterrupt):
            talk.print(safe(self._stopped))

    @contextmanager
    def kept(self, log: Path) -> Iterator[None]:
        """Adds what is said, and what ends the block, to a file.

        Raises:
            StorageError: it cannot be written to.
        """
        self._log = log
        try:
            yield
        except BaseException as error:
            with suppress(StorageError):
                why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
                self._note(f"stopped: {why}")
            raise
        finally:
            self._log = None

    def _note(self, text: str) -> None:
        if self._log is not None:
            with storing(self._log), appending(self._log) as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {printable(masked_text(text))}\n")

    def heading(self, number: int, count: int, text: str) -> None:
        """A line that says which part begins; bars say it too, until the next."""
        self._part = f"[{number}/{count}] "
        self.say(self._part + text)

    def start(self, what: str, total: int) -> None:
        """A new bar, or a line."""
        self._what, self._done, self._total = what, 0, total
        self._told = self._began = time.monotonic()
        begun = f"{what}: {total} steps" if total else what
        if self._bars:
            if self._task is not None:
                self._bars.stop_task(self._task)
            self._task = self._bars.add_task(safe(self._part + what), total=total)
            self._note(begun)
        else:
            self.say(begun)

    def advance(self, steps: int = 1) -> None:
        """Moves the bar, or says now and then how far it is."""
        self._done += steps
        if self._bars and self._task is not None:
            self._bars.advance(self._task, steps)
        elif time.monotonic() - self._told > _PLAIN_EVERY:
            self._told = time.monotonic()
            self.say(f"{self._what}: {self._done}/{self._total}, {self._pace()}")

    def _pace(self) -> str:
        """Steps a second, the time that the others take at that rate, memory."""
        seconds = self._told - self._began
        left = timedelta(seconds=round(max(0, self._total - self._done) * seconds / self._done))
        return ", ".join(filter(None, (f"{self._done / seconds:.3g}/s", f"{left} left", _memory())))

    def say(self, text: str) -> None:
        """One line on stderr, and in the log of the run."""
        self._note(text)
        if not self._quiet:
            talk.print(safe(masked_text(text)))


def results(*, soft_wrap: bool = False) -> Console:
    """The console for what was asked for, on stdout; lines are left whole where `soft_wrap`."""
    return Console(file=sys.stdout, highlight=False, emoji=False, soft_wrap=soft_wrap)
