"""Which experts a router sends tokens to, and by how little."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_NAMES = ("gate", "router")
# What routers make of their logits before they rank them; each keeps their order.
_KEEPING_ORDER: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda logits: logits,
    torch.sigmoid,
    lambda logits: logits.softmax(dim=-1),
)


class Router(NamedTuple):
    """What chooses experts for tokens.

    Attributes:
        module: puts out logits, and what it chose.
        takes: how many experts a token goes to, where what holds the router says so.
    """

    module: nn.Module
    takes: int | None


class Ranking(NamedTuple):
    """Scores of which a router took the largest.

    Attributes:
        scores: of what is ranked: experts, or groups of them.
        taken: how many were taken of each token's.
    """

    scores: Float[Tensor, "token ranked"]
    taken: int

    def margin(self) -> Float[Tensor, " token"]:
        """By how much the last that is taken leads the first that is not, relative to the largest score."""
        ranked = self.scores.float().sort(dim=1, descending=True).values
        left = ranked[:, self.taken] if self.taken < ranked.shape[1] else -torch.inf
        return (ranked[:, self.taken - 1] - left) / _largest(ranked)


class Choices(NamedTuple):
    """What a router chose for each token.

    Attributes:
        chosen: the experts.
        margin: by how much the last that is chosen leads the first that is not, relative to the largest score of the
            token. Scores are logits, and where they alone do not decide, what the router ranked: with a bias added, or
            with groups left out, whose own choice counts too. Infinite where all are chosen.
    """

    chosen: Bool[Tensor, "token expert"]
    margin: Float[Tensor, " token"]


def routers_of(block: nn.Module) -> dict[str, Router]:
    """The routers of a block, by name: they stand beside the experts that they choose from."""
    return {
        f"{name}.{own}".lstrip("."): Router(getattr(module, own), getattr(module, "top_k", None))
        for name, module in block.named_modules()
        if hasattr(module, "experts")
        for own in _NAMES
        if isinstance(getattr(module, own, None), nn.Module)
    }


def choices(output: Any, rankings: Sequence[Ranking] = (), takes: int | None = None) -> Choices:
    """Reads what a router puts out: logits, weights and indices; or, as Llama 4's, scores of the chosen and logits.

    Args:
        output: it; of some, logits alone.
        rankings: what the router ranked on its way: groups of experts where it knows any, experts at last.
        takes: how many experts a token goes to, for routers that put out logits alone.
    """
    logits, chosen = _read(output, takes)
    margin = _lead(logits.float(), chosen)
    if not rankings or rankings[-1].scores.shape != logits.shape:
        return Choices(chosen, margin.masked_fill(margin < 0, torch.inf))
    *groups, experts = rankings
    margin = torch.where(_in_order(experts.scores, logits), margin, experts.margin())
    for group in groups:
        margin = margin.minimum(group.margin())
    return Choices(chosen, margin)


def _read(output: Any, takes: int | None) -> tuple[Tensor, Tensor]:
    """Logits and what is chosen, both [token expert]."""
    if isinstance(output, Tensor):
        assert takes is not None
        return output, _marked(output, output.topk(takes).indices)
    index = next((part for part in output if not part.is_floating_point()), None)
    if index is None:
        scores, logits = output
        return logits, scores > 0
    return output[0], _marked(output[0], index)


def _marked(like: Tensor, index: Tensor) -> Tensor:
    return torch.zeros_like(like, dtype=torch.bool).scatter(1, index, value=True)


def _lead(scores: Tensor, taken: Tensor) -> Tensor:
    """Of the least score that is taken over the most that is not, relative to the largest."""
    least = scores.masked_fill(~taken, torch.inf).amin(dim=1)
    most = scores.masked_fill(taken, -torch.inf).amax(dim=1)
    return (least - most) / _largest(scores)


def _largest(scores: Tensor) -> Tensor:
    """The largest score of each token, whatever its sign; what is shut out is at -inf, and no score."""
    return scores.abs().masked_fill(scores.isinf(), 0.0).amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny)


def _in_order(scores: Tensor, logits: Tensor) -> Tensor:
    """Whether scores are logits, or made of them alone, token by token: then logits, less squeezed, tell of margins."""
    step = torch.finfo(scores.dtype).eps
    alike = [scores.float().isclose(form(logits.float()), step, step).all(dim=1) for form in _KEEPING_ORDER]
    return torch.stack(alike).any(dim=0)
