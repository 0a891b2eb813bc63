"""Code that comes with a checkpoint: run where the user asks for that, and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import Any

from safetensors import SafetensorError
from transformers import PretrainedConfig, PreTrainedModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from pinpoint.errors import InputError, PinpointError, first_line
from pinpoint.memory import out_of_memory
from pinpoint.models._config_file import minding_config

_HOME = "transformers_modules."
"""Where transformers puts the modules of checkpoints."""
_USED = ("AutoConfig", "AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoTokenizer")


def own_code(trust_remote_code: bool) -> dict[str, bool]:
    """Said to every loader: left unsaid, transformers asks in the terminal whether to run a checkpoint's own code."""
    return {"trust_remote_code": trust_remote_code}


def came_along(thing: PreTrainedModel | PretrainedConfig) -> bool:
    """Whether the class of a model or a config is the checkpoint's own, and not one of transformers."""
    return type(thing).__module__.startswith(_HOME)


@contextmanager
def minding_code(path: str | Path, revision: str | None = None, trust_remote_code: bool = False) -> Iterator[None]:
    """Within the block, a checkpoint that needs code of its own is refused in one message, unless that is trusted.

    Args:
        path: a folder, or a Hub id.
        revision: of the checkpoint on the Hub.
        trust_remote_code: whether its code may run; what that raises is one message too.

    Raises:
        InputError: it needs code that may not run, that fails, or that lies in another repository.
    """
    if trust_remote_code:
        _demand_here(path, revision)
    try:
        yield
    except (PinpointError, OSError, SafetensorError):
        raise
    except ValueError as error:
        if trust_remote_code or "trust_remote_code" not in str(error):
            raise
        raise InputError(
            "can only be loaded by running code that comes with it, which could do anything on this machine.",
            where=str(path),
            mend="Give a version of a model type that transformers has itself (on the Hub often named -hf); or, once "
            "you have read the code and trust it, --trust-remote-code (for the model of a run, never for a judge); "
            "or convert the checkpoint: docs/usage.md.",
        ) from error
    except Exception as error:
        # Code that anybody wrote, and often for another version of transformers, may raise anything.
        if not trust_remote_code or (isinstance(error, RuntimeError) and not _of_its_own(error)):
            raise
        raise InputError(
            f"fails with the code that comes with it: {type(error).__name__}: {first_line(str(error))}",
            where=str(path),
            mend="Install what it needs, or give a version of a model type that transformers has itself.",
        ) from error


def _of_its_own(error: RuntimeError) -> bool:
    """Whether a checkpoint's own code raised it; torch raises the same kind over weights, and short memory is told."""
    raised = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return not out_of_memory(error) and any(str(module).startswith(_HOME) for module in raised)


def _demand_here(path: str | Path, revision: str | None) -> None:
    """Refuses code in another repository than the checkpoint: no revision pins it, and no digest of a run covers it."""
    config, _ = PretrainedConfig.get_config_dict(str(path), revision=revision)
    for settings in (config, get_tokenizer_config(str(path), revision=revision)):
        named = settings.get("auto_map") or {}
        named = {"AutoTokenizer": named} if isinstance(named, list) else named
        for reference in (one for name in _USED for one in _listed(named.get(name))):
            other, apart, _ = reference.rpartition("--")
            if apart and other != str(path):
                raise InputError(
                    f"names code in another repository, {other}, of which no revision is pinned.",
                    where=str(path),
                    mend=f"Copy the code beside the weights of a local folder, and take {other + apart!r} out of "
                    "auto_map in its config.json and tokenizer_config.json.",
                )


def _listed(reference: Any) -> list[str]:
    return [one for one in (reference if isinstance(reference, list) else [reference]) if isinstance(one, str)]


def blank(
    config: PretrainedConfig,
    build: Any,
    path: str | Path = "",
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model of a config, without its weights.

    Args:
        config: it.
        build: the auto class that builds it.
        path: where its own class is, if it has one.
        revision: of that, on the Hub.
        trust_remote_code: whether its own class is to be taken, as `load` takes it.

    Raises:
        InputError: the config has values of which no model can be made.
    """
    own = (getattr(config, "auto_map", None) or {}).get(build.__name__) if trust_remote_code else None
    if own is None:
        with minding_config(path or str(config.name_or_path)):
            return build.from_config(config, **own_code(False))  # type: ignore[no-any-return]
    # The auto class would take the code's newest revision, whichever one is asked for.
    found: Any = get_class_from_dynamic_module(own, str(path), revision=revision)
    return found._from_config(config)  # type: ignore[no-any-return]
