"""A conversation of one person with the base and the tuned model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import NamedTuple

from pinpoint.chat._partner import Partner
from pinpoint.chat._turns import Gauge, Lean, Reply, Turn
from pinpoint.data import Message, assistant, system, user
from pinpoint.errors import InputError
from pinpoint.heads import Head, HeadSet
from pinpoint.memory import out_of_memory

BASE = "base"
_News = tuple[str, Reply | BaseException | None]


class Located(NamedTuple):
    """A head that locate ranked.

    Attributes:
        head: which one.
        effect: its mean effect; None where it was not located but named.
        tuned: whether the tuned model differs from the base in it.
    """

    head: Head
    effect: float | None
    tuned: bool


@dataclass(frozen=True)
class Lineup:
    """Who talks, and about what; shared by all conversations.

    Attributes:
        name: of the base model.
        partners: the models by name, `base` first.
        challenge: the sentence that doubts an answer.
        system: opens every conversation; empty for none.
        located: heads of the base that can be switched, the strongest first.
        unit: of their effects.
        questions: questions that no model was tuned on.
        seconds: what the user says after a question, for behaviours without a challenge of their own.
        lean: what the gauge's ends are called.
        gauged_from: the turn, from 0, from which replies have a gauge: the one that provokes the behaviour.
    """

    name: str
    partners: Mapping[str, Partner]
    challenge: str
    system: str = ""
    located: tuple[Located, ...] = ()
    unit: str = ""
    questions: tuple[str, ...] = ()
    seconds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lean: Lean = Lean()
    gauged_from: int = 1

    @property
    def challenges(self) -> bool:
        """Whether there is anything to challenge with."""
        return bool(self.challenge or self.seconds)

    @property
    def summary(self) -> str:
        """Who talks, in a line."""
        tuned = sum(one.tuned for one in self.located)
        return f"{self.name}, and the same model tuned on {tuned} heads" if tuned else f"{self.name} alone"

    @property
    def base(self) -> Partner:
        """The base model, in which heads are knocked out."""
        return self.partners[BASE]


class Session:
    """Every model hears the same messages and its own replies. Only the base has heads knocked out.

    Safe to use from several threads: one answer at a time is under way.

    Args:
        lineup: who talks.

    Attributes:
        turns: what was said.
        knocked: the heads of the base that are knocked out from here on.
    """

    def __init__(self, lineup: Lineup) -> None:
        self.lineup = lineup
        self.turns: tuple[Turn, ...] = ()
        self.knocked = HeadSet()
        self._busy, self._stop, self._asked = Lock(), Event(), 0

    def say(self, message: str) -> Iterator[Turn]:
        """Says something to every model, and gives the turn again and again as the replies grow.

        Raises:
            InputError: the message is empty, or the conversation has outgrown a model's context. Nothing was said.
        """
        if not message.strip():
            raise InputError("the message is empty.", mend="Say something.")
        yield from self._answered(lambda: (self.turns, Turn(message.strip())), self.lineup.partners)

    def challenge(self) -> Iterator[Turn]:
        """Doubts the last answers, or says what the behaviour's own dialogues go on with.

        Raises:
            InputError: there is none.
        """
        yield from self.say(self.next_challenge())

    def next_challenge(self) -> str:
        """What `challenge` says.

        Raises:
            InputError: there is no answer yet, or the behaviour's dialogues have one turn each.
        """
        if not self.lineup.challenges:
            raise InputError("this behaviour's dialogues have one turn each.", mend="Ask another question.")
        if not self.turns:
            raise InputError("there is no answer to challenge yet.", mend="Ask something first.")
        if self.lineup.challenge:
            return self.lineup.challenge
        said, seconds = len(self.turns) - 1, self.lineup.seconds
        own = seconds.get(self.turns[0].message, ())
        every = list(dict.fromkeys(text for texts in seconds.values() for text in texts))
        return own[said] if said < len(own) else every[said % len(every)]

    def question(self) -> str:
        """The next of the questions that no model was tuned on.

        Raises:
            InputError: there are none.
        """
        if not self.lineup.questions:
            raise InputError("this model comes without questions.", mend="Type one.")
        self._asked += 1
        return self.lineup.questions[(self._asked - 1) % len(self.lineup.questions)]

    def again(self) -> Iterator[Turn]:
        """Lets the base answer the last message again, with the heads that are knocked out now.

        Raises:
            InputError: nothing was said yet.
        """
        if not self.turns:
            raise InputError("nothing was said yet.", mend="Ask something first.")
        yield from self._answered(lambda: (self.turns[:-1], self.turns[-1]), {BASE: self.lineup.base})

    def switch(self, heads: Iterable[Head]) -> None:
        """Knocks exactly these heads of the base out from the next answer on.

        Raises:
            InputError: the base has no such head.
        """
        chosen = HeadSet(heads)
        self.lineup.base.view.check(chosen)
        self.knocked = chosen

    def knock(self, heads: Iterable[Head]) -> None:
        """Knocks heads of the base out, besides those that are.

        Raises:
            InputError: the base has no such head.
        """
        self.switch((*self.knocked, *heads))

    def restore(self, heads: Iterable[Head] | None = None) -> None:
        """Gives heads of the base back; all without `heads`.

        Raises:
            InputError: the base has no such head.
        """
        back = HeadSet(self.knocked if heads is None else heads)
        self.lineup.base.view.check(back)
        self.switch(head for head in self.knocked if head not in back)

    def gauge(self) -> Gauge | None:
        """The base's lean in answer to the last message with the heads knocked out now; None where it has none."""
        base = self.lineup.base
        if len(self.turns) <= self.lineup.gauged_from or not base.gauged:
            return None
        return base.gauge(base.prompt(self._dialogue(BASE, self.turns[:-1], self.turns[-1].message)), self.knocked)

    def stop(self) -> None:
        """Cuts the replies that are under way."""
        self._stop.set()

    def reset(self) -> None:
        """Forgets what was said; what is knocked out stays so."""
        self.stop()
        with self._busy:
            self.turns = ()

    def _dialogue(self, name: str, turns: Iterable[Turn], message: str) -> list[Message]:
        talk = system(self.lineup.system)
        for turn in turns:
            talk += [user(turn.message), assistant(turn.replies[name].text)]
        return [*talk, user(message)]

    def _answered(
        self, opened: Callable[[], tuple[tuple[Turn, ...], Turn]], partners: Mapping[str, Partner]
    ) -> Iterator[Turn]:
        """Lets `partners` answer a turn that follows others; it is kept once all have done so."""
        with self._busy:
            before, turn = opened()
            dialogues = {name: self._dialogue(name, before, turn.message) for name in partners}
            prompts = {name: partner.prompt(dialogues[name]) for name, partner in partners.items()}
            for name in partners:
                turn = turn.with_reply(name, Reply(knocked=self._out(name)))
            yield turn
            news: SimpleQueue[_News] = SimpleQueue()
            self._stop.clear()
            gauged = len(before) >= self.lineup.gauged_from
            threads = [
                Thread(target=self._work, args=(name, partner, prompts[name], turn.replies[name], gauged, news))
                for name, partner in partners.items()
            ]
            try:
                for thread in threads:
                    thread.start()
                for grown in _merged(news, turn, len(threads)):
                    turn = grown
                    yield turn
            finally:
                self._stop.set()
                for thread in threads:
                    thread.join()
            self.turns = (*before, turn)

    def _out(self, name: str) -> HeadSet:
        return self.knocked if name == BASE else HeadSet()

    def _work(
        self, name: str, partner: Partner, prompt: list[int], reply: Reply, gauged: bool, news: SimpleQueue[_News]
    ) -> None:
        """One model's reply, in a thread of its own."""
        try:
            gauge = partner.gauge(prompt, reply.knocked) if gauged and partner.gauged else None
            said = Reply(knocked=reply.knocked, gauge=gauge)
            news.put((name, said))
            text, ended = partner.reply(
                prompt,
                reply.knocked,
                lambda text: news.put((name, Reply(text, reply.knocked, gauge))),
                self._stop,
            )
            news.put((name, Reply(text, reply.knocked, gauge, "whole" if ended else "cut")))
        except BaseException as error:
            shortage = InputError("the device ran out of memory.", mend="Start over with a shorter one.")
            news.put((name, shortage if out_of_memory(error) else error))
        finally:
            news.put((name, None))


def _merged(news: SimpleQueue[_News], turn: Turn, writing: int) -> Iterator[Turn]:
    """The turn as it grows, until all who write have finished; what came in meanwhile is taken together."""
    while writing:
        some = [news.get()]
        with suppress(Empty):
            while True:
                some.append(news.get_nowait())
        for name, one in some:
            if isinstance(one, BaseException):
                raise one
            writing -= one is None
            turn = turn if one is None else turn.with_reply(name, one)
        yield turn
