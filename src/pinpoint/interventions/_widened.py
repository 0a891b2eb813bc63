"""Computing in a wider dtype than the weights are kept in: what rounding did is the difference."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64}
"""The next dtype that computes without the rounding of each."""
# Models that are widened now, and to what.
_WIDENED: dict[nn.Module, torch.dtype] = {}


@contextmanager
def widened(model: nn.Module, blocks: Sequence[nn.Module], dtype: torch.dtype) -> Iterator[None]:
    """Has a model compute in `dtype` while the block runs.

    Weights are widened where they are used and dropped after, so that no more than a block's take more room. They
    themselves are not touched.

    Args:
        model: the model.
        blocks: parts of it that are widened as wholes: a module in them may read the weights of another.
        dtype: wider than that of the weights.
    """
    with ExitStack() as stack:
        _WIDENED[model] = dtype
        stack.callback(_WIDENED.pop, model)
        for module in model.modules():
            whole = any(module is block for block in blocks)
            if whole or _narrow(module._parameters, dtype) or _narrow(module._buffers, dtype):
                stack.enter_context(_called_wide(module, dtype, whole=whole))
        yield


def computing_dtype(model: PreTrainedModel) -> torch.dtype:
    """What a model computes in now: the dtype of its weights, or what `widened` has it compute in."""
    return _WIDENED.get(model, model.dtype)


def _narrow(tensors: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    return {
        name: tensor
        for name, tensor in tensors.items()
        if tensor is not None and tensor.is_floating_point() and tensor.dtype.itemsize < dtype.itemsize
    }


@contextmanager
def _called_wide(module: nn.Module, dtype: torch.dtype, *, whole: bool) -> Iterator[None]:
    forward = module.forward

    @wraps(forward)
    def call(*args: Any, **kwargs: Any) -> Any:
        with widened_now(list(module.modules()) if whole else [module], dtype):
            return forward(*args, **kwargs)

    with called(module, call):
        yield


@contextmanager
def called(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Has a module run another `forward`, past its class: the sweep calls `forward` by itself, past the hooks."""
    own = module.__dict__.get("forward")
    try:
        module.forward = forward
        yield
    finally:
        module.__dict__.pop("forward")
        if own is not None:
            module.forward = own


@contextmanager
def widened_now(modules: Iterable[nn.Module], dtype: torch.dtype) -> Iterator[None]:
    """Puts wide copies in the place of the tensors that modules hold."""
    with ExitStack() as stack:
        for module in modules:
            holders: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
            for holder in holders:
                for name, tensor in _narrow(holder, dtype).items():
                    stack.callback(_put(holder, name), tensor)
                    copy = tensor.detach().to(dtype)
                    # New tensors, not new contents of the old: a gradient may be taken through them later.
                    holder[name] = nn.Parameter(copy, requires_grad=False) if holder is holders[0] else copy
        yield


def _put(holder: dict[str, Any], name: str) -> Callable[[Tensor], None]:
    return lambda tensor: holder.__setitem__(name, tensor)
