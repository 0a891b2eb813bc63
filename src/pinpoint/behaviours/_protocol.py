"""What a behaviour has to say for itself, so that it can be located, verified, trained away and measured."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pinpoint.behaviours._explanations import Explanation
from pinpoint.behaviours._material import NOTHING, Material, Measure, Outcomes, Played, PreferenceRow, TrainingRow
from pinpoint.behaviours._wrong_answers import WrongAnswer
from pinpoint.config import DataConfig, EvaluateConfig, TuneConfig
from pinpoint.data import ContrastPair, Dialogue
from pinpoint.measure import Chat, Estimate, Judge, Replier


class Behaviour(Protocol):
    """A behaviour of a chat model: how it is provoked, told from its absence, trained away and measured.

    Attributes:
        kind: which class of behaviour; the page's wording goes by it.
        name: the behaviour's own name.
        title: the same in words.
        shows: what a model does that shows it, as a gerund: "caving".
        refrains: what one does that does not.
        counterfactual: when the counterfactual prompts have it: "when the user agrees".
        measures: the numbers that it is judged by.
        plotted: one or two measures that the figures of `pinpoint compare` show.
        tested: short labels of the measures of `outcomes`, by name.
        matched: a measure of `check` and the value at which methods are compared for their side effects.
        judged_by_model: names of measures whose replies another model alone can tell, in the evaluation.
        parts: names of what `play` returns.
        knocked: labels of the rates of `knocked_out`, by name.
        system_prompt: tells a model in words not to show the behaviour; empty for none.
    """

    kind: str
    name: str
    title: str
    shows: str
    refrains: str
    counterfactual: str
    measures: tuple[Measure, ...]
    plotted: tuple[str, ...]
    tested: dict[str, str]
    matched: tuple[str, float]
    judged_by_model: tuple[str, ...]
    parts: tuple[str, ...]
    knocked: dict[str, str]
    system_prompt: str

    # What it is made of.

    def files(self, data: DataConfig) -> dict[str, str]:
        """The files and folders that its items come from, by the key of the settings that names them."""
        ...

    def read(self, data: DataConfig, seed: int) -> Material:
        """Reads its items.

        Raises:
            InputError: a file cannot be used; names the file, the line and what is wrong.
        """
        ...

    def pairs(self, items: Sequence[Any]) -> list[ContrastPair]:
        """One contrast pair per item: a prompt that provokes the behaviour, and one that does not.

        Their answers are empty where the settings leave them to the model's own replies.
        """
        ...

    def shown_in(self, reply: str) -> bool | None:
        """Whether the reply to a contrast pair's prompt shows the behaviour; None where no rule tells."""
        ...

    def explanations(self, items: Sequence[Any], writer: Replier | None) -> list[Explanation]:
        """What the replies of training dialogues can say beyond the answer.

        Args:
            items: those kept for training.
            writer: the model that writes what the files lack; None for what the files have.

        Raises:
            InputError: there is nothing to explain in these dialogues.
        """
        ...

    def wrong_answers(self, items: Sequence[Any], writer: Replier | None) -> list[WrongAnswer]:
        """What training dialogues can have the model wrongly say before it revises it.

        Args:
            items: those kept for training.
            writer: the model that writes what the files lack; None for what there is without one.

        Raises:
            InputError: there is nothing to be wrong about in these dialogues.
        """
        ...

    def rows(self, items: Sequence[Any], seed: int, explained: Mapping[str, str] = NOTHING) -> list[TrainingRow]:
        """Training dialogues that show the wanted behaviour.

        Args:
            items: what they are about.
            seed: of the wordings.
            explained: explanations by the ids of items, to go into the replies.
        """
        ...

    def neutral(self, items: Sequence[Any]) -> list[Dialogue]:
        """Dialogues that have nothing to do with the behaviour, made from items.

        Raises:
            InputError: they cannot be made from items and must be given.
        """
        ...

    def preferences(
        self,
        items: Sequence[Any],
        seed: int,
        explained: Mapping[str, str] = NOTHING,
        *,
        provoked_only: bool = False,
    ) -> list[PreferenceRow]:
        """The dialogues of `rows`, each with an unwanted reply beside the wanted one.

        Args:
            items: what they are about.
            seed: of the wordings.
            explained: explanations by the ids of items, to go into the wanted replies.
            provoked_only: leave out prompts that do not provoke the behaviour.
        """
        ...

    def own_rows(self, items: Sequence[Any], chat: Chat, seed: int) -> list[TrainingRow]:
        """Training dialogues from a model's own answers alone, for which no right answer need be known."""
        ...

    def unable(self, items: Sequence[Any]) -> dict[str, str]:
        """Methods of `pinpoint compare` that there is no material for, with the reason.

        Args:
            items: those kept for training.
        """
        ...

    # How it is measured.

    def play(
        self,
        chat: Replier,
        items: Sequence[Any],
        base: Played | None,
        advance: Callable[[], None],
        judge: Judge | None = None,
    ) -> Played:
        """Lets a model reply to items.

        Args:
            chat: who replies.
            items: what to.
            base: what the base did; None when this is the base.
            advance: called after each part.
            judge: who tells what the replies say; by default rules. `check` and `knocked_out` go by rules always.
        """
        ...

    def restore(self, part: str, rows: Sequence[dict[str, Any]]) -> Sequence[Any]:
        """The records that their `row` was taken of."""
        ...

    def metrics(self, played: Played, config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
        """Every measure of `measures`."""
        ...

    def versus_base(self, tuned: Played, base: Played, config: EvaluateConfig, seed: int) -> dict[str, Estimate]:
        """Tuned minus base on the same items, by the `paired` keys of `measures`."""
        ...

    def outcomes(self, played: Played) -> dict[str, Outcomes]:
        """Per measure that methods are tested on against one another, which items came out well.

        Every model must have been given these items alike.
        """
        ...

    def check(self, chat: Chat, items: Sequence[Any]) -> dict[str, Outcomes]:
        """Per rate that tuning is stopped by, which items came out well."""
        ...

    def targets(self, tune: TuneConfig) -> dict[str, float]:
        """The rates of `check` at which tuning stops."""
        ...

    def knocked_out(self, chat: Chat, items: Sequence[Any]) -> dict[str, Outcomes]:
        """Per rate of `knocked`, on which items it holds."""
        ...

    def examples(self, results: Mapping[str, Played]) -> list[dict[str, Any]]:
        """A few items on which the base shows the behaviour, as every method replies to them."""
        ...
