"""Reading and replacing what enters and leaves modules; every hook is gone when its block ends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Edit = Callable[[int, Tensor], Tensor]


@contextmanager
def edited_inputs(modules: Mapping[int, nn.Module], edit: Edit) -> Iterator[None]:
    """Replaces the first positional input x of each module by `edit(key, x)` while the block runs."""

    def hook(key: int) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
        return lambda _module, args: (edit(key, args[0]), *args[1:])

    handles = []
    try:
        for key, module in modules.items():
            handles.append(module.register_forward_pre_hook(hook(key)))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def seen_inputs(modules: Mapping[int, nn.Module], see: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Shows the first positional input of each module to `see(key, x)` while the block runs."""

    def edit(key: int, x: Tensor) -> Tensor:
        see(key, x)
        return x

    with edited_inputs(modules, edit):
        yield


@contextmanager
def after_blocks(
    blocks: list[nn.Module], visit: Callable[[int, Tensor, tuple[Any, ...], dict[str, Any]], None]
) -> Iterator[None]:
    """Calls `visit(layer, block input, other args, kwargs)` each time a block has run."""

    def hook(layer: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
        return lambda _module, args, kwargs, _output: visit(layer, args[0], args[1:], kwargs)

    handles = []
    try:
        for layer, block in enumerate(blocks):
            handles.append(block.register_forward_hook(hook(layer), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()
