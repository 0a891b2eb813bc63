"""A residual stream in float32 between modules that compute in a narrower dtype.

An effect is the small difference of two rows. In bfloat16 each sum in the residual stream, and each logit, rounds that
difference to the step of the whole; in float32 they cost next to nothing, since matrices stay narrow.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from pinpoint.interventions._widened import called, widened_now

NARROW = (torch.bfloat16, torch.float16)


@contextmanager
def residual_in_float32(modules: Iterable[nn.Module], dtype: torch.dtype) -> Iterator[None]:
    """Has modules take their part of a float32 residual stream while the block runs.

    What holds matrices gets its first input in its own dtype and computes in it. What holds vectors alone, as norms do,
    computes in float32. Sums of a narrow output and the wide stream come out wide by themselves.

    Args:
        modules: those that the residual stream enters; their weights are at hand.
        dtype: what they compute in.
    """
    with ExitStack() as stack:
        for module in modules:
            # Quantised matrices may be no parameters.
            sides = [tensor.dim() for tensor in (*module.parameters(), *module.buffers())]
            if max(sides, default=0) > 1:
                stack.enter_context(called(module, _narrowing(module.forward, dtype)))
            elif sides:
                stack.enter_context(widened_now(module.modules(), torch.float32))
        yield


def _narrowing(forward: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    """`forward` with its first input in `dtype`."""

    @wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args:
            return forward(_cast(args[0], dtype), *args[1:], **kwargs)
        return forward(**{name: _cast(x, dtype) if name == "hidden_states" else x for name, x in kwargs.items()})

    return call


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x
