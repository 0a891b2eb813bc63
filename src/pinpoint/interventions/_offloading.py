"""Keeping offloaded weights at hand for as long as they are needed, instead of fetching them at every call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from pinpoint.interventions._hooks import removing
from pinpoint.memory import hand_back, handing_back


def offloading(module: nn.Module) -> list[tuple[nn.Module, Any]]:
    """The modules below that fetch their weights when they are called, each with accelerate's hook that does it."""
    found = []
    for one in module.modules():
        hook = vars(one).get("_hf_hook")  # asked of every module at every batch: `getattr` on one that has none is slow
        found += [(one, part) for part in getattr(hook, "hooks", (hook,)) if getattr(part, "offload", False)]
    return found


@contextmanager
def at_hand(*modules: nn.Module) -> Iterator[None]:
    """Fetches the offloaded weights of modules once, for the length of the block."""
    with ExitStack() as stack:
        for module in modules:
            for one, hook in offloading(module):
                hook.pre_forward(one)
                stack.callback(_let_go, one, hook)
                hook.offload = False
        yield


def _let_go(module: nn.Module, hook: Any) -> None:
    hook.offload = True
    hook.post_forward(module, None)


@contextmanager
def one_block_at_hand(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Fetches the weights of each block as it begins to run, and keeps them until the next one does.

    What calls parts of a block after it has run finds them there. Does nothing where nothing is offloaded.
    """
    fetched = [block for block in blocks if offloading(block)]
    with ExitStack() as outer, ExitStack() as held:

        def fetch(block: nn.Module) -> Callable[..., None]:
            def begin(*_: Any) -> None:
                held.close()
                hand_back()
                held.enter_context(at_hand(block))

            return begin

        if fetched:
            # What a block's own passes free would lie idle beside the rows that come after them.
            outer.enter_context(handing_back())
        outer.enter_context(removing([block.register_forward_pre_hook(fetch(block)) for block in fetched]))
        yield
