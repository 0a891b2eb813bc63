"""Loading a chat model and its tokenizer, from a folder or from the Hub."""

import json
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import find_adapter_config_file

from pinpoint.config import Bits, DeviceMap
from pinpoint.errors import InputError, first_line
from pinpoint.models._code import blank, came_along, minding_code, own_code
from pinpoint.models._config_file import STUMBLES, minding_config
from pinpoint.models._hub import asking_hub
from pinpoint.models._packed import kept_packed
from pinpoint.models._placement import placed
from pinpoint.models._quantised import in_bits, keep_gradients, quantisation, quantisation_settings

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


class Loaded(NamedTuple):
    """A model in evaluation mode and its tokenizer.

    Example:
        >>> import pinpoint
        >>> from pinpoint.organism import shipped
        >>> loaded = pinpoint.load(shipped()["truth-teller"], device="cpu")
        >>> loaded.model.config.model_type, loaded.model.training, len(loaded.tokenizer)
        ('llama', False, 3072)
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def pick_device(device: str) -> str:
    """Resolves "auto": CUDA, then Apple's GPU, then the CPU.

    Raises:
        InputError: this machine has no such device.
    """
    if device != "auto":
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            # Of a word that is no device, PyTorch lists all that there are.
            why = first_line(str(error)).partition(" device type at start of device string")
            raise InputError(
                f"device {device!r} cannot be used: {'PyTorch knows no such' if why[1] else why[0]}",
                where="device",
                mend="Use auto, cpu, cuda, cuda:1 or mps, as this machine has.",
            ) from error
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def model_class(config: PretrainedConfig) -> type[AutoModelForCausalLM] | type[AutoModelForImageTextToText]:
    """What builds the model of a config: a language model, or a wrapper with one inside."""
    own = came_along(config) and AutoModelForCausalLM.__name__ in (getattr(config, "auto_map", None) or {})
    plain = own or type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    return AutoModelForCausalLM if plain else AutoModelForImageTextToText


def config_of(path: str | Path, revision: str | None, trust_remote_code: bool) -> PretrainedConfig:
    """A checkpoint's config, as transformers reads it.

    Raises:
        InputError: it has values of which nothing can be made.
    """
    with minding_config(path, trust_remote_code):
        config: PretrainedConfig = AutoConfig.from_pretrained(
            str(path), revision=revision, **own_code(trust_remote_code)
        )
    return config


@contextmanager
def _blaming_config(made: Callable[[], object]) -> Iterator[None]:
    """Within the block, which reads other files too, what fails with the config alone is told as the config's.

    Args:
        made: what is made of the config alone; raises what is to be told.
    """
    try:
        yield
    except STUMBLES:
        with torch.device("meta"):
            made()
        raise


def load_tokenizer(
    path: str | Path, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """Loads a tokenizer alone.

    Args:
        path: a local folder, or a Hub id.
        revision: branch, tag or commit on the Hub.
        trust_remote_code: whether code that comes with it may run, with the user's rights.

    Raises:
        InputError: there is none at `path`, the model's config cannot be read, it needs code of its own that is not
            trusted, or the Hub, where it would be, cannot be reached.
    """
    made = partial(config_of, path, revision, trust_remote_code)
    try:
        with asking_hub(path), minding_code(path, revision, trust_remote_code), _blaming_config(made):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                str(path), revision=revision, **own_code(trust_remote_code)
            )
    except (OSError, ValueError) as error:
        raise InputError(
            f"no tokenizer can be loaded: {first_line(str(error))}",
            where=str(path),
            mend="Put the files of the model's tokenizer there.",
        ) from error
    return tokenizer


def demand_known_words(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, path: str | Path) -> None:
    """Refuses a tokenizer that has more words than a model knows: it is another one's.

    What was added to a tokenizer, as a token to pad with, may lie beyond: it need never be read.

    Raises:
        InputError: how many each has.
    """
    known = getattr(config.get_text_config(), "vocab_size", None)
    if isinstance(known, int) and tokenizer.vocab_size > known:
        raise InputError(
            f"the tokenizer has {tokenizer.vocab_size:,} words, and the model knows {known:,} (vocab_size).",
            where=str(path),
            mend="Put the files of the model's own tokenizer there.",
        )


def _unpack(config: PretrainedConfig, dtype: str, device_map: DeviceMap | None) -> None:
    """Has transformers unpack quantised weights as it loads them.

    Raises:
        InputError: they would be fetched in another dtype than the rest of the model's.
    """
    if device_map is not None and dtype != "auto":
        raise InputError(
            f"its weights are quantised ({quantisation(config)}), and unpacked on this device to the checkpoint's own "
            f"dtype; device_map {device_map!r} does not take them to {dtype}.",
            where="dtype",
            mend="Leave dtype out, or device_map.",
        )
    quantisation_settings(config)["dequantize"] = True


def _keep_unpacked(model: PreTrainedModel, own: torch.dtype | None, dtype: torch.dtype | None) -> None:
    """Leaves of a model whose weights were unpacked nothing that speaks of their packing, in dtype or structure.

    Args:
        model: it.
        own: the checkpoint's dtype, in which what was packed comes whatever is asked for.
        dtype: what was asked for; None for the checkpoint's own.
    """
    # transformers would pack them again as it saves them, and what was tuned would be rounded away without a word.
    vars(model).pop("_weight_conversions", None)
    if own is None or dtype is None:
        return
    for weight in model.parameters():
        # Others have the dtype that was asked for, or are kept in float32 on purpose.
        if weight.dtype == own:
            weight.data = weight.data.to(dtype)
    if torch.promote_types(own, dtype) == dtype:
        for buffer in model.buffers():
            # Rotary frequencies stay in float32: narrowed, they turn far positions by the wrong angle.
            if buffer.dtype == own:
                buffer.data = buffer.data.to(dtype)


def demand_no_adapter(path: str | Path, revision: str | None = None) -> None:
    """Refuses an adapter in a model's place, or beside its weights.

    Transformers would put it on the model that is loaded, whichever model it was made for: the weights would not be
    what is measured, and the settings of a run would not say so.

    Raises:
        InputError: there is one.
    """
    found = find_adapter_config_file(str(path), revision=revision)
    if found is None:
        return
    try:
        base = json.loads(Path(found).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        base = None
    raise InputError(
        f"holds an adapter (adapter_config.json{f', made for {base}' if base else ''}), which is no model of its own.",
        where=str(path),
        mend="Give the model that it is merged into (`merged/` of a run or an export); or, for the weights beside it "
        "alone, move adapter_config.json away.",
    )


def load(
    path: str | Path,
    dtype: str = "auto",
    device: str = "auto",
    revision: str | None = None,
    device_map: DeviceMap | None = None,
    bits: Bits | None = None,
    trust_remote_code: bool = False,
) -> Loaded:
    """Loads a causal language model with its tokenizer.

    Args:
        path: a local folder written by `save_pretrained`, or a Hub id.
        dtype: "auto" (the checkpoint's own), "bfloat16", "float16" or "float32".
        device: "auto", "cpu", "cuda", "cuda:1", "mps"...
        revision: branch, tag or commit on the Hub.
        device_map: None for the whole model on `device`. "host" keeps the blocks in the host's memory and "disk" leaves
            them in the checkpoint's files, each fetched to `device` when it runs, for models larger than the device.
            "auto", "balanced", "balanced_low_0", "sequential" or a mapping of module names to devices: spread by
            accelerate.
        bits: 4 or 8, to quantise the matrices of blocks as they are loaded (bitsandbytes, the extra `quantised`).
        trust_remote_code: whether code that comes with the checkpoint may run. It has the user's rights and can do
            anything on this machine: read it first, and give a commit as `revision`, so that it cannot change.

    Returns:
        The model, in evaluation mode, and the tokenizer.

    Raises:
        InputError: the dtype or the device map is unknown, nothing can be loaded from `path`, an adapter lies there,
            another model's tokenizer or a checkpoint that needs code of its own, which is not trusted or fails, the Hub
            cannot be reached and `path` was not fetched before, or its weights are quantised, or to be, in a way that
            this machine has no library or device for.

    Warns:
        PinpointWarning: the Hub cannot be reached, so that what was fetched before is loaded.

    Example:
        >>> import pinpoint
        >>> from pinpoint.organism import shipped
        >>> model, tokenizer = pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu")
        >>> model.config.num_hidden_layers, model.config.num_attention_heads
        (8, 8)
    """
    if dtype != "auto" and dtype not in _DTYPES:
        raise InputError(f"dtype {dtype!r} is unknown.", mend=f"Use auto or one of {', '.join(_DTYPES)}.")
    method, picked = "", pick_device(device)
    # For weights that cannot be read from the checkpoint as they are.
    folder = TemporaryDirectory(prefix="pinpoint-offload-") if device_map is not None else None
    try:
        with asking_hub(path), minding_code(path, revision, trust_remote_code):
            demand_no_adapter(path, revision)
            config = config_of(path, revision, trust_remote_code)
            tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision, **own_code(trust_remote_code))
            demand_known_words(tokenizer, config, path)
            method, build = quantisation(config), model_class(config)
            whole = partial(blank, config, build, path, revision, trust_remote_code)
            own: torch.dtype | None = getattr(config.get_text_config(), "dtype", None)
            more: dict[str, Any] = {}
            unpacks = bool(method) and not kept_packed(method, torch.device(picked))
            if unpacks:
                _unpack(config, dtype, device_map)
            if device_map is not None and folder is not None:
                more = {"device_map": placed(whole, picked, device_map), "offload_folder": folder.name}
            if bits is not None:
                method = f"bitsandbytes, {bits} bits"
                more["quantization_config"] = in_bits(bits, config, _DTYPES.get(dtype), picked, device_map)
            if method and device_map is None:
                # Quantised weights are made where they stay: most cannot be moved.
                more["device_map"] = {"": picked}
            with _blaming_config(whole):
                model = build.from_pretrained(
                    str(path),
                    config=config,
                    dtype=_DTYPES.get(dtype, "auto"),
                    revision=revision,
                    use_safetensors=True,
                    **own_code(trust_remote_code),
                    **more,
                )
    except (ImportError, OSError, ValueError, RuntimeError, SafetensorError) as error:
        if method:
            raise InputError(
                f"its weights are quantised ({method}) and cannot be loaded on {picked}: {first_line(str(error))}",
                where=str(path),
                mend="Install what is missing, choose another --device, or give the model that it was quantised from.",
            ) from error
        raise InputError(
            f"no model can be loaded: {first_line(str(error))}",
            where=str(path),
            mend="Give a Hub id or a folder written by save_pretrained (config, weights as safetensors, tokenizer).",
        ) from error
    module: nn.Module = model
    if folder is not None:
        weakref.finalize(module, folder.cleanup)
    elif not method:
        module.to(picked)
    if unpacks:
        _keep_unpacked(model, own, _DTYPES.get(dtype))
    keep_gradients(model)
    module.eval()
    return Loaded(model, tokenizer)
