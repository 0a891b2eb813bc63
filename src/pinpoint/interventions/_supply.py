"""Running a block with its attention output supplied instead of computed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class _Supplied(nn.Module):
    """Stands where an attention module stood and returns what it was given."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, *_args: object, **_kwargs: object) -> tuple[Tensor, None]:
        return self.output, None


@contextmanager
def supplied_attention(block: nn.Module, name: str, output: Tensor) -> Iterator[None]:
    """Makes `block`'s attention module `name` return `output` while the block runs.

    Args:
        block: a decoder block.
        name: attribute of the block that holds its attention module.
        output: [row position d_model], what the attention module is to return.
    """
    original = block.get_submodule(name)
    try:
        block.set_submodule(name, _Supplied(output))
        yield
    finally:
        block.set_submodule(name, original)


def run_block(
    block: nn.Module,
    attention: str,
    hidden: Tensor,
    supplied: Tensor,
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> Tensor:
    """Runs a block on single-token rows whose attention output is given.

    The block's own forward runs, so its norms, MLP, router and residual scales come out right. It is called
    past its hooks: the sweep that calls this is itself one of them.

    Args:
        block: a decoder block.
        attention: attribute of the block that holds its attention module.
        hidden: [row d_model], the residual stream entering the block.
        supplied: [row d_model], the attention output.
        args: what else the model passed to the block, by position.
        kwargs: what else the model passed to the block, by name; only attention uses it.

    Returns:
        [row d_model], the residual stream leaving the block.
    """
    with supplied_attention(block, attention, supplied[:, None]):
        output = block.forward(hidden[:, None], *args, **kwargs)
    tensor = output[0] if isinstance(output, tuple) else output
    assert isinstance(tensor, torch.Tensor)
    return tensor[:, 0]
