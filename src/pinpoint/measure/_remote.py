"""Replies of a model behind an endpoint."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from pinpoint.artifacts import Journal
from pinpoint.data import Messages, Said, assistant, joined, parted, user
from pinpoint.endpoint import Endpoint


@dataclass(frozen=True)
class RemoteChat:
    """A model behind an endpoint that answers dialogues at temperature 0, several at a time.

    Attributes:
        endpoint: where it is asked.
        max_new_tokens: a reply is cut after as many tokens.
        parallel: dialogues at a time.
        journal: where replies are kept, for a later process to go on from.
    """

    endpoint: Endpoint
    max_new_tokens: int = 48
    parallel: int = 8
    journal: Journal | None = None
    tokenizer: None = None
    _answered: dict[str, str] = field(default_factory=dict, repr=False)
    _cut: set[str] = field(default_factory=set, repr=False)
    _over: set[str] = field(default_factory=set, repr=False)
    _short: set[str] = field(default_factory=set, repr=False)
    _lock: Any = field(default_factory=Lock, repr=False)

    def replies(self, dialogues: Sequence[Messages]) -> list[str]:
        """The reply to each dialogue, in order; equal dialogues are answered once.

        Raises:
            PinpointError: as `Endpoint.chat`.
        """
        return [said[0] for said in self.converse(dialogues, [()] * len(dialogues))]

    def converse(self, dialogues: Sequence[Messages], then: Sequence[Sequence[str]]) -> list[list[str]]:
        """Replies to each dialogue, and to all that the user says afterwards, turn by turn.

        Args:
            dialogues: the openings, each ending with the user.
            then: what the user says after the first reply, after the second, and so on.

        Raises:
            PinpointError: as `Endpoint.chat`.
        """
        scripts = [(list(talk), list(further)) for talk, further in zip(dialogues, then, strict=True)]
        keys = [json.dumps(script) for script in scripts]
        distinct = dict(zip(keys, scripts, strict=True))
        pool = ThreadPoolExecutor(self.parallel)
        try:
            found = dict(zip(distinct, pool.map(self._play, distinct.values()), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)
        return [found[key] for key in keys]

    def is_cut(self, reply: str) -> bool:
        """Whether the server said of a reply that it ended at the limit of tokens."""
        return reply in self._cut

    @property
    def over(self) -> int:
        """Replies that are longer than the limit, which the server did not keep to."""
        return len(self._over)

    @property
    def short(self) -> int:
        """Dialogues in which the server counts fewer tokens than they have words."""
        return len(self._short)

    def said(self, dialogue: Messages) -> Said | None:
        """The reply that was given to a dialogue, with the thought before it; None where none was."""
        known = self._answered.get(self._key(dialogue))
        return None if known is None else parted(known)

    def _play(self, script: tuple[list[dict[str, str]], list[str]]) -> list[str]:
        messages, then = list(script[0]), script[1]
        replies = []
        for further in (*then, ""):
            replies.append(self._reply(messages))
            messages += [assistant(replies[-1]), user(further)]
        return replies

    def _key(self, messages: Messages) -> str:
        asked = json.dumps([self.endpoint.url, self.endpoint.model, list(messages), self.max_new_tokens])
        return hashlib.sha256(asked.encode()).hexdigest()

    def _reply(self, messages: Messages) -> str:
        key = self._key(messages)
        with self._lock:
            known: str | None = self._answered.get(key)
            if known is None and self.journal is not None:
                known = self.journal.get(key)
                if known is not None:
                    self._answered[key] = known
                    if self.journal.get(f"cut {key}"):
                        self._cut.add(parted(known).reply)
                    for name, kept in (("over", self._over), ("short", self._short)):
                        if self.journal.get(f"{name} {key}"):
                            kept.add(key)
        if known is None:
            reply = self.endpoint.chat(messages, self.max_new_tokens)
            known = reply.text.strip()
            if reply.thought:
                known = joined(reply.thought, known, closed=bool(known) or not reply.cut)
            with self._lock:
                self._answered[key] = known
                if reply.cut:
                    self._cut.add(parted(known).reply)
                if reply.over:
                    self._over.add(key)
                if reply.short:
                    self._short.add(key)
                if self.journal is not None:
                    for name in ("cut", "over", "short"):
                        if getattr(reply, name):
                            self.journal.put(f"{name} {key}", True)
                    self.journal.put(key, known)
        return parted(known).reply
