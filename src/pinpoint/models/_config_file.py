"""What cannot be read of a checkpoint's config, where transformers stumbles over it instead of saying so."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from pinpoint.errors import InputError, first_line

STUMBLES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, StrictDataclassError)
"""What transformers raises on values that it does not check; its ValueErrors say in words what is wrong."""
_AT_LEAST_1 = ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim")


@contextmanager
def minding_config(path: str | Path, trust_remote_code: bool = False) -> Iterator[None]:
    """Within the block, which makes something of a checkpoint's config alone, what cannot be read is one message.

    Args:
        path: a folder, or a Hub id.
        trust_remote_code: whether code that comes with the checkpoint may be what fails: `minding_code` tells of that.

    Raises:
        InputError: its config has values of which nothing can be made.
    """
    try:
        yield
    except (*STUMBLES, RuntimeError) as error:
        if trust_remote_code:
            raise
        raise unreadable(path, _told(path, error) or _said(error)) from error


def unreadable(path: str | Path, why: str) -> InputError:
    """The error of a config that cannot be read, with the file as its place."""
    return InputError(
        f"this config cannot be read: {why}",
        where=f"{path}/config.json",
        mend="Correct it there, or fetch the file again from where the model came from.",
    )


def _told(path: str | Path, error: Exception) -> str:
    """What is plainly wrong with a folder's config, where the error would name neither key nor value."""
    try:
        config = json.loads((Path(path) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(config, dict):
        return "it holds no JSON object"
    if not isinstance(found := config.get("quantization_config") or {}, dict):
        return f"quantization_config is {found!r}, no JSON object"
    dtype = config.get("dtype", config.get("torch_dtype"))
    if isinstance(dtype, str) and not isinstance(getattr(torch, dtype, None), torch.dtype):
        return f"dtype is {dtype!r}, which PyTorch does not have"
    if not isinstance(error, ArithmeticError | RuntimeError):
        return ""
    return ", ".join(f"{name} is {config[name]}" for name in _AT_LEAST_1 if _below_1(config.get(name)))


def _below_1(value: Any) -> bool:
    return isinstance(value, int) and value < 1


def _said(error: Exception) -> str:
    if isinstance(error, StrictDataclassError) and error.__cause__ is not None:
        return first_line(str(error.__cause__))
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
        return text if " " in text else f"transformers knows no {text!r}"
    return f"{type(error).__name__}: {first_line(str(error))}"
