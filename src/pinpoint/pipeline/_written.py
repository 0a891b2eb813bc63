"""Texts for the training dialogues of a run, made once and kept in its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pinpoint.measure import Chat
from pinpoint.memory import BatchSize
from pinpoint.pipeline._partial import ended
from pinpoint.pipeline._stages import key_of, partial_of

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run


class Written(NamedTuple):
    """One kind of such texts.

    Attributes:
        name: of its two files (`<name>.jsonl` with the rows, `<name>.json` with their counts), its key and its record.
    """

    name: str

    def rows(self, run: Run, make: Callable[[Run], None]) -> list[dict[str, Any]]:
        """The rows that an earlier stage with the same settings left, or else those that `make` keeps."""
        space = run.workspace
        whole = space.has(self._counts) and space.has(self._rows)
        if not (whole and space.read_json(self._counts)["key"] == key_of(run, self.name)):
            make(run)
        return space.read_jsonl(self._rows)

    def keep(self, run: Run, rows: Iterable[NamedTuple], counts: Mapping[str, Any]) -> None:
        """Writes the rows and their counts, and deletes what was kept of them on the way."""
        space = run.workspace
        # Stopped between the two, no key of other settings may stand beside these rows.
        space.drop(self._counts)
        space.write_jsonl(self._rows, [one._asdict() for one in rows])
        space.write_json(self._counts, {"key": key_of(run, self.name), **counts})
        ended(run, self.name, key_of(run, self.name))

    def forget(self, run: Run) -> None:
        """Deletes both files: they are of settings that no longer hold."""
        run.workspace.drop(self._rows)
        run.workspace.drop(self._counts)

    def record(self, run: Run) -> dict[str, Any]:
        """The counts under the kind's name, as a record of training has them."""
        counts = run.workspace.read_json(self._counts)
        return {self.name: {name: count for name, count in counts.items() if name != "key"}}

    def writer(self, run: Run, tokens: int, limit: str) -> Chat:
        """The base model, replying in `tokens` at the most; what it has said is not asked for again."""
        journal = partial_of(run, self.name).journal("replies.jsonl")
        at_once = BatchSize(run.config.evaluate.batch_size, "evaluate.batch_size")
        # A thought would count towards the tokens, and few would come to the reply.
        return Chat(run.model, run.tokenizer, at_once, tokens, journal=journal, limit=limit, thinks=False)

    @property
    def _rows(self) -> str:
        return f"{self.name}.jsonl"

    @property
    def _counts(self) -> str:
        return f"{self.name}.json"


def counted(questions: int, used: Sequence[Any], refused: Sequence[Any]) -> dict[str, Any]:
    """The counts of texts: how many of which source are used, and why others are not.

    Args:
        questions: how many questions could have one.
        used: texts with a `source`.
        refused: texts with a `flaw`.
    """
    sources = Counter(one.source for one in used)
    return {
        "questions": questions,
        "from_file": sources["file"],
        "written": sources["model"],
        "refused": dict(Counter(one.flaw for one in refused).most_common()),
    }


def told(counts: Mapping[str, Any], what: str, instead: str) -> str:
    """The counts as a line.

    Args:
        counts: as `counted` gives them.
        what: what the texts are and to which questions, "explanations for {} training questions".
        instead: what becomes of those that are refused, "{} keep another question's".
    """
    reasons = "; ".join(f"{n} x {reason}" for reason, n in counts["refused"].items())
    refused = f"; {instead.format(sum(counts['refused'].values()))} ({reasons})" if reasons else ""
    return (
        f"{what.format(counts['questions'])}: {counts['from_file']} from the file, "
        f"{counts['written']} by the model{refused}"
    )
