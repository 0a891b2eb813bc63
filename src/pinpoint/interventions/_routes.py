"""Seeing which experts routers choose, and what they rank to choose them."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pinpoint.interventions._widened import called
from pinpoint.models import Choices, Ranking, Router, choices

Key = TypeVar("Key", bound=Hashable)


class _Ranked(TorchFunctionMode):
    """Keeps what is ranked for each token while a router runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Ranking] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        # Scores of more dimensions are of experts within groups, and sum up to the groups' own.
        if func in (torch.topk, Tensor.topk) and args[0].dim() == 2:
            self.seen.append(Ranking(args[0], output.indices.shape[-1]))
        return output


@contextmanager
def seen_choices(routers: Mapping[Key, Router], see: Callable[[Key, Choices], None]) -> Iterator[None]:
    """Shows what each router chooses to `see(key, choices)` while the block runs."""
    with ExitStack() as stack:
        for key, router in routers.items():
            stack.enter_context(called(router.module, _telling(key, router, see)))
        yield


def _telling(key: Key, router: Router, see: Callable[[Key, Choices], None]) -> Callable[..., Any]:
    forward = router.module.forward

    @wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _Ranked() as ranked:
            output = forward(*args, **kwargs)
        see(key, choices(output, ranked.seen, router.takes))
        return output

    return call
