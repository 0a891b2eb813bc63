"""Reading and replacing what enters and leaves modules; every hook is gone when its block ends."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Key = TypeVar("Key", bound=Hashable)


@contextmanager
def removing(handles: list[RemovableHandle]) -> Iterator[None]:
    """Removes the hooks at the end of the block."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def edited_inputs(modules: Mapping[Key, nn.Module], edit: Callable[[Key, Tensor], Tensor]) -> Iterator[None]:
    """Replaces the first positional input x of each module by `edit(key, x)` while the block runs."""

    def hook(key: Key) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
        return lambda _module, args: (edit(key, args[0]), *args[1:])

    handles: list[RemovableHandle] = []
    with removing(handles):
        handles += [module.register_forward_pre_hook(hook(key)) for key, module in modules.items()]
        yield


@contextmanager
def seen_inputs(modules: Mapping[Key, nn.Module], see: Callable[[Key, Tensor], None]) -> Iterator[None]:
    """Shows the first positional input of each module to `see(key, x)` while the block runs."""

    def edit(key: Key, x: Tensor) -> Tensor:
        see(key, x)
        return x

    with edited_inputs(modules, edit):
        yield


@contextmanager
def edited_outputs(modules: Mapping[Key, nn.Module], edit: Callable[[Key, Tensor], Tensor]) -> Iterator[None]:
    """Replaces the output y of each module, or the first of several, by `edit(key, y)` while the block runs."""

    def hook(key: Key) -> Callable[[nn.Module, tuple[Any, ...], Any], Any]:
        def edited(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
            return (edit(key, output[0]), *output[1:]) if isinstance(output, tuple) else edit(key, output)

        return edited

    handles: list[RemovableHandle] = []
    with removing(handles):
        handles += [module.register_forward_hook(hook(key)) for key, module in modules.items()]
        yield


@contextmanager
def seen_whole_outputs(modules: Mapping[Key, nn.Module], see: Callable[[Key, Any], None]) -> Iterator[None]:
    """Shows everything that each module puts out to `see(key, output)` while the block runs."""

    def hook(key: Key) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda _module, _args, output: see(key, output)

    handles: list[RemovableHandle] = []
    with removing(handles):
        handles += [module.register_forward_hook(hook(key)) for key, module in modules.items()]
        yield


@contextmanager
def seen_outputs(modules: Mapping[Key, nn.Module]) -> Iterator[dict[Key, Tensor]]:
    """Collects the output of each module, or the first of several, as the model runs."""
    seen: dict[Key, Tensor] = {}

    def keep(key: Key, output: Tensor) -> Tensor:
        # A copy: what comes after may add to the output in place, as Falcon's parallel blocks do.
        seen[key] = output.detach().clone()
        return output

    with edited_outputs(modules, keep):
        yield seen


@contextmanager
def after_blocks(
    blocks: list[nn.Module], visit: Callable[[int, Tensor, tuple[Any, ...], dict[str, Any]], None]
) -> Iterator[None]:
    """Calls `visit(layer, block input, other args, kwargs)` each time a block has run."""

    def hook(layer: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
        def seen(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], _output: Any) -> None:
            if args:
                visit(layer, args[0], args[1:], kwargs)
            else:
                others = {name: value for name, value in kwargs.items() if name != "hidden_states"}
                visit(layer, kwargs["hidden_states"], (), others)

        return seen

    handles: list[RemovableHandle] = []
    with removing(handles):
        handles += [block.register_forward_hook(hook(i), with_kwargs=True) for i, block in enumerate(blocks)]
        yield
