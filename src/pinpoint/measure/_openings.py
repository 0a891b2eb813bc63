"""How a model's own replies begin to two kinds of prompt, and where the two part."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.errors import InputError
from pinpoint.measure._greedy import greedy_tokens
from pinpoint.memory import BatchSize
from pinpoint.models import context_of

LEAST = 0.1
"""By how much more of the one kind of reply must begin so."""
_SHOWN, _SHOWN_TOKENS = 3, 5

Tokens = tuple[int, ...]
Counts = Counter[Tokens]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Opening(_Stored):
    """A beginning of replies, and how many begin so.

    Attributes:
        text: it and what both kinds of reply begin with, as text.
        ids: what it is measured by: the token at which it parts from the other kind, and what follows where answers are
            measured whole.
        tokens: the same as the tokenizer has them.
        reference: share of the replies to references that begin with it, up to where it parts.
        counterfactual: that of the replies to counterfactuals.
    """

    text: str
    ids: list[int]
    tokens: list[str]
    reference: float
    counterfactual: float

    def __str__(self) -> str:
        return f"{self.text!r} ({self.reference:.0%} of references, {self.counterfactual:.0%} of counterfactuals)"


class Openings(_Stored):
    """How replies begin that show a behaviour, and those that do not.

    Attributes:
        prompts: prompts of either kind that were replied to.
        shared: token ids that both kinds of reply begin with; they part after these.
        shared_text: the same as text.
        unwanted: what replies to references begin with more often, most first.
        wanted: what replies to counterfactuals do.
    """

    prompts: int
    shared: list[int]
    shared_text: str
    unwanted: list[Opening]
    wanted: list[Opening]

    def ids(self, side: str) -> list[list[int]]:
        """What one side's answers are: `unwanted` or `wanted`."""
        return [one.ids for one in getattr(self, side)]

    @property
    def summary(self) -> str:
        """All of it in a line."""
        sides = "; ".join(f"{side} {', '.join(map(str, getattr(self, side)))}" for side in ("unwanted", "wanted"))
        after = f"; measured after {self.shared_text!r}, which both kinds begin with" if self.shared else ""
        return f"{sides}; found in the model's replies to {self.prompts} of either{after}"


class Parting(NamedTuple):
    """Where two kinds of reply part: what they share up to there, and what each goes on with, most telling first."""

    shared: Tokens
    unwanted: list[Tokens]
    wanted: list[Tokens]


def _beginnings(replies: Sequence[Sequence[int]]) -> Counts:
    """How many replies begin with each sequence of tokens that any of them begins with."""
    return Counter(tuple(reply[:end]) for reply in replies for end in range(len(reply) + 1))


def parting(references: Sequence[Sequence[int]], counterfactuals: Sequence[Sequence[int]]) -> Parting | None:
    """The place where what comes next tells two kinds of reply apart best.

    A token stands out where `LEAST` more of all replies of its kind than of the other reach it. Of the beginnings at
    which some stand out for either kind, that counts whose weaker kind stands out most, and of several the shortest.

    Args:
        references: replies of one kind, in token ids.
        counterfactuals: as many of the other.

    Returns:
        None where no beginning has tokens that stand out for both.
    """
    ours, theirs = _beginnings(references), _beginnings(counterfactuals)
    least = LEAST * len(references)
    found: defaultdict[Tokens, tuple[list[Tokens], list[Tokens]]] = defaultdict(lambda: ([], []))
    surplus = {begun: ours[begun] - theirs[begun] for begun in {*ours, *theirs} if begun}
    for begun in sorted(surplus, key=lambda begun: (-abs(surplus[begun]), begun)):
        if abs(surplus[begun]) >= least:
            found[begun[:-1]][surplus[begun] < 0].append(begun)

    def telling(shared: Tokens) -> tuple[int, int]:
        return min(abs(sum(surplus[one] for one in side)) for side in found[shared]), -len(shared)

    best = max(sorted(found), key=telling, default=())
    unwanted, wanted = found[best]
    return Parting(best, unwanted, wanted) if unwanted and wanted else None


def _gone_on(begun: Tokens, counts: Counts, further: int) -> Tokens:
    """A beginning with at most `further` tokens more, as far as more than half of the replies that begin so agree."""
    for _ in range(further):
        nexts = {one: count for one, count in counts.items() if one[:-1] == begun and one}
        most = max(nexts, key=lambda one: (nexts[one], one), default=None)
        if most is None or 2 * nexts[most] <= counts[begun]:
            break
        begun = most
    return begun


def openings(
    tokenizer: PreTrainedTokenizerBase,
    references: Sequence[Sequence[int]],
    counterfactuals: Sequence[Sequence[int]],
    further: int = 0,
) -> Openings:
    """How replies begin that tell references from counterfactuals.

    Args:
        tokenizer: to write them out with.
        references: replies to references, in token ids.
        counterfactuals: as many replies to counterfactuals.
        further: tokens more by which each answer may go on.

    Raises:
        InputError: none stands out; says how replies begin on either side.
    """
    apart = parting(references, counterfactuals)
    if apart is None:
        raise _none_stands_out(tokenizer, references, counterfactuals)
    counts, start = (_beginnings(references), _beginnings(counterfactuals)), len(apart.shared)

    def opening(begun: Tokens, side: int) -> Opening:
        whole = _gone_on(begun, counts[side], further)
        shares = [kind[begun] / len(references) for kind in counts]
        return Opening(
            text=str(tokenizer.decode(list(whole))).strip(),
            ids=list(whole[start:]),
            tokens=tokenizer.convert_ids_to_tokens(list(whole[start:])),
            reference=shares[0],
            counterfactual=shares[1],
        )

    return Openings(
        prompts=len(references),
        shared=list(apart.shared),
        shared_text=str(tokenizer.decode(list(apart.shared))).strip(),
        unwanted=[opening(begun, 0) for begun in apart.unwanted],
        wanted=[opening(begun, 1) for begun in apart.wanted],
    )


def _none_stands_out(
    tokenizer: PreTrainedTokenizerBase, references: Sequence[Sequence[int]], counterfactuals: Sequence[Sequence[int]]
) -> InputError:
    def begin(replies: Sequence[Sequence[int]]) -> str:
        most = Counter(tuple(reply[:_SHOWN_TOKENS]) for reply in replies).most_common(_SHOWN)
        return ", ".join(f"{str(tokenizer.decode(list(ids))).strip()!r} ({n / len(replies):.0%})" for ids, n in most)

    return InputError(
        f"no beginning of a reply tells the two kinds of prompt apart by {LEAST:.0%} of {len(references)} replies. "
        f"To references they begin {begin(references)}; to counterfactuals {begin(counterfactuals)}.",
        where="behaviour.unwanted, behaviour.wanted: auto",
        mend="Where both kinds say the same, the model does not show the behaviour. Else give first words of both "
        '(`unwanted: [Apologies]`, `wanted: ["Yes"]`), or, where those begin alike, whole answers and '
        "`locate.metric: logprob_diff`.",
    )


def first_tokens_of_replies(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[int]], count: int
) -> list[list[int]]:
    """The first tokens of the greedy reply to each prompt, without its end.

    Args:
        model: a chat model.
        tokenizer: its tokenizer.
        prompts: token ids.
        count: tokens at the most.

    Raises:
        InputError: a prompt leaves no room for a reply in the model's context.
        OutOfMemory: one prompt does not fit the memory.
    """
    longest = max(map(len, prompts))
    room = context_of(model) or longest + count
    if room <= longest:
        raise InputError(
            f"a prompt of {longest} tokens leaves no room for a reply in the model's {room}.",
            mend="Drop long questions, or name first words of replies: behaviour.unwanted, behaviour.wanted.",
        )
    at_once = BatchSize(len(prompts), "prompts")
    return greedy_tokens(model, tokenizer, prompts, min(count, room - longest), at_once, end=False)
