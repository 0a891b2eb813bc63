"""How a stage tells what it is doing, without printing."""

from typing import Protocol


class Progress(Protocol):
    """What stages report to; only `pinpoint.cli` draws it."""

    def heading(self, number: int, count: int, text: str) -> None:
        """Part `number` of `count` begins, counted from 1: a stage of a run, a method of a comparison."""

    def start(self, what: str, total: int) -> None:
        """A piece of work of `total` steps begins."""

    def advance(self, steps: int = 1) -> None:
        """`steps` of the current piece of work are done."""

    def say(self, text: str) -> None:
        """One line worth keeping."""


class Silent:
    """The default: nobody is watching."""

    def heading(self, number: int, count: int, text: str) -> None:
        """Ignores the heading."""

    def start(self, what: str, total: int) -> None:
        """Ignores the start."""

    def advance(self, steps: int = 1) -> None:
        """Ignores the step."""

    def say(self, text: str) -> None:
        """Ignores the line."""
