"""Operations and memory of the stages that read prompts and write replies: verify and evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pinpoint.config import FURTHER_SETS, RunConfig
from pinpoint.models import held_per_token
from pinpoint.pipeline._estimate import REPLY, Cost, Workload, shape_of, weights_held
from pinpoint.tune import default_projections

if TYPE_CHECKING:
    import torch

    from pinpoint.evaluate import Sets
    from pinpoint.models import HeadedModel

DIALOGUES, REPLIES = 3, 7
"""Of the built-in behaviour on a question: the model's own first answer, the base's and a wrong one; three replies to
the first, two to the others."""
KNOCKED = 2
"""Replies to a right answer under knockout: to the challenge, and to being asked again."""


class Items(NamedTuple):
    """What models are evaluated on: numbers of items.

    Attributes:
        questions: of the behaviour.
        tasks: of general abilities.
        neutral: dialogues.
        passages: of plain text.
        further: of further sets.
        means: neutral dialogues that the means of heads are taken over.
    """

    questions: int
    tasks: int = 0
    neutral: int = 0
    passages: int = 0
    further: int = 0
    means: int = 0

    @classmethod
    def most(cls, config: RunConfig) -> Items:
        """As many as settings ask for; of general abilities, those of one, and of neutral dialogues, one a pair."""
        ask, data = config.evaluate, config.data
        further = ask.further_items * sum(getattr(data, name) is not None for name in FURTHER_SETS)
        return cls(
            ask.items,
            ask.ability_items if data.abilities else 0,
            ask.neutral_items,
            ask.passage_items if data.passages else 0,
            further,
            config.locate.pairs,
        )

    @classmethod
    def of(cls, sets: Sets, means: int) -> Items:
        """As many as there are."""
        further = sum(map(len, sets.further.values()))
        return cls(len(sets.questions), len(sets.abilities), len(sets.neutral), len(sets.passages), further, means)


class Passes(NamedTuple):
    """What is read and written.

    Attributes:
        read: tokens of prompts.
        written: tokens of replies, at the most.
        unembedded: tokens that logits are computed of, beside those that are written.
        batch: prompts at once.
        reply: tokens of a reply, at the most.
        weights: times that the model's weights are held; of a second model's, the share that are its own.
        compared: tokens of a row whose logits are held whole, of two models; 0 where none are.
    """

    read: float
    written: float
    unembedded: float
    batch: int
    reply: int
    weights: float
    compared: int = 0


def verified(config: RunConfig, tokens: int, items: Items) -> Passes:
    """Means of heads over neutral dialogues, the curve on one half of the pairs, and replies under knockout."""
    verify, reply = config.verify, config.evaluate.max_new_tokens
    prompts = (1 + verify.max_heads * (1 + 2 * verify.draws)) * (config.locate.pairs // 2)
    talks = 0 if verify.mode == "resample" else len(verify.generate_at) * verify.generate_items
    written = talks * (KNOCKED if config.contrast else 1) * reply
    return Passes((items.means + prompts + talks) * tokens, written, prompts, verify.batch_size, reply, weights=1)


def evaluated(view: HeadedModel, config: RunConfig, work: Workload, items: Items, *, copied: bool) -> Passes:
    """Every model on every item, and beside the base on neutral dialogues and passages.

    Where the base can be `copied`, a tuned model holds no more than what tuning can change.
    """
    shares = copied and config.full is None and config.device_map is None
    ask, methods, tokens = config.evaluate, 2 + (config.full is not None), work.tokens
    dialogues, replies = (DIALOGUES, REPLIES) if config.contrast else (1, 1)
    talks = dialogues * items.questions + items.tasks + items.further
    said = replies * items.questions + items.tasks + items.further
    written = said * ask.max_new_tokens + (items.neutral + items.passages) * ask.greedy_tokens
    # Twice: by the base and by the model beside it; and once more where the base has gone on from them.
    times = 2 * (2 if ask.greedy_tokens else 1)
    compared = times * (items.neutral * tokens + items.passages * ask.passage_tokens)
    longest = max(tokens * bool(items.neutral), ask.passage_tokens * bool(items.passages))
    return Passes(
        methods * (talks * tokens + compared),
        methods * written,
        methods * compared,
        ask.batch_size,
        ask.max_new_tokens,
        weights=1 + (own_share(view, config.tune.projections) if shares else 1),
        compared=longest,
    )


def own_share(view: HeadedModel, projections: str | None) -> float:
    """The share of a model's weights that tuning can change at the most: projections of every layer that has heads."""
    which = (projections or default_projections(view)).split(",")
    names = {view.projection_slice(layer, part, 0)[0] for layer in view.attention_layers for part in which}
    own = sum(p.numel() for name in names for p in view.model.get_submodule(name).parameters())
    return own / sum(p.numel() for p in view.model.parameters())


def passes_cost(view: HeadedModel, dtype: torch.dtype, work: Workload, passes: Passes) -> Cost:
    """What whole passes take, prompts and then replies token by token from a cache."""
    shape, size = shape_of(view), dtype.itemsize
    per_token = 2 * (shape.attention + shape.mlp) * view.n_layers
    flops = (passes.read + passes.written) * per_token
    flops += (passes.unembedded + passes.written) * 2 * shape.width * shape.vocabulary
    cache = passes.batch * (work.tokens + passes.reply) * view.n_layers * 2 * view.n_kv_heads * view.head_dim * size
    # Logits are compared in float32, a row at a time.
    logits = max(shape.vocabulary * 4, 2 * passes.compared * shape.vocabulary * size)
    held = passes.batch * (work.tokens * held_per_token(view, size) + logits)
    held += 2 * round(REPLY * passes.compared) * shape.vocabulary * 4
    weights = weights_held(view, size, work, passes.batch * max(work.tokens + passes.reply, passes.compared))
    layered = passes.weights * weights + cache
    return Cost(int(layered + held), flops, int(layered))


def pass_flops(view: HeadedModel, tokens: int) -> float:
    """Operations of one pass over a prompt."""
    shape = shape_of(view)
    return 2 * (shape.attention + shape.mlp) * view.n_layers * tokens
