"""What a model would take, from its config alone: nothing is loaded but config and tokenizer."""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from pinpoint.config import RunConfig, settings_of
from pinpoint.data import ContrastPair
from pinpoint.errors import ArchitectureError, InputError, first_line
from pinpoint.models import (
    HeadedModel,
    Packed,
    asking_hub,
    blank,
    came_along,
    config_of,
    demand_known_words,
    demand_no_adapter,
    demand_unquantised,
    features,
    headed,
    in_bits_packed,
    minding_code,
    missing_libraries,
    model_class,
    own_code,
    packed,
)
from pinpoint.pipeline._candidates import Answer, candidates
from pinpoint.pipeline._estimate import Workload, locate_cost, weight_bytes
from pinpoint.pipeline._estimate_passes import Items
from pinpoint.pipeline._fitting import Asked, Estimate, estimates
from pinpoint.pipeline._prompts import prompts_of
from pinpoint.tune import default_projections

SHARES = (0.01, 0.02, 0.04, 0.1)
_NO_TOKENIZER_ANSWER = 6
_PROBE = "Yes"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class HeadShare(_Record):
    """A number of heads, and what training them would train."""

    heads: int
    share: float
    parameters: int


class Inspection(_Record):
    """What `pinpoint check` finds.

    Attributes:
        model: folder or Hub id.
        architecture: `config.model_type`.
        layers: blocks.
        attention_layers: blocks that have heads.
        heads: query heads of a block.
        kv_heads: key/value heads of a block.
        parameters: of the whole model, tied weights counted once.
        dtype: that the weights would be loaded in.
        quantised: what the weights of its blocks are quantised by; empty where they are not.
        weight_bytes: what the weights take, as they are kept.
        chat_template: whether the tokenizer has one; None without a tokenizer.
        prompt_end: the end of a rendered reference prompt: what comes next is measured.
        prompt_tokens: the length that estimates are made for.
        prompt_source: whose prompts are so long.
        answers: how the beginnings of the replies are cut into tokens: those named, or usual ones where locate finds
            them.
        projections: what is tuned unless told otherwise.
        choices: numbers of heads and what they train.
        brute_force: how many times the operations of the sweep a forward pass per head would take.
        estimates: passes, memory and time of each stage, on each device at hand.
        notes: what a user should know before starting.
    """

    model: str
    architecture: str
    layers: int
    attention_layers: int
    heads: int
    kv_heads: int
    parameters: int
    dtype: str
    quantised: str
    weight_bytes: int
    chat_template: bool | None
    prompt_end: str
    prompt_tokens: int
    prompt_source: str
    answers: list[Answer]
    projections: str
    choices: list[HeadShare]
    brute_force: float
    estimates: list[Estimate]
    notes: list[str]


def read_config(model: str, revision: str | None, trust_remote_code: bool = False) -> PretrainedConfig:
    """A model's config, from a folder or the Hub.

    Raises:
        InputError: there is none, nothing can be made of its values, it is an adapter's, or it needs code of its own
            that is not trusted.
    """
    try:
        with asking_hub(model), minding_code(model, revision, trust_remote_code):
            demand_no_adapter(model, revision)
            return config_of(model, revision, trust_remote_code)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no config can be read: {first_line(str(error))}",
            where=model,
            mend="Give a Hub id or a folder that holds config.json.",
        ) from error


def _tokenizer(model: str, revision: str | None, trust_remote_code: bool) -> PreTrainedTokenizerBase | None:
    try:
        with asking_hub(model), minding_code(model, revision, trust_remote_code):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                model, revision=revision, **own_code(trust_remote_code)
            )
    except (InputError, OSError, ValueError, KeyError, ImportError):
        return None
    # Without files, some classes come up with an empty vocabulary instead of failing.
    reads = str(tokenizer.decode(tokenizer(_PROBE, add_special_tokens=False)["input_ids"])).strip() == _PROBE
    return tokenizer if reads else None


def skeleton(
    config: PretrainedConfig, path: str = "", revision: str | None = None, trust_remote_code: bool = False
) -> HeadedModel:
    """The model of a config without weights, on the meta device.

    Args:
        config: it.
        path: where the model's own code is, if it has some.
        revision: of that, on the Hub.
        trust_remote_code: whether it may run.

    Raises:
        ArchitectureError: no layout is known for it.
        InputError: it has values of which no model can be made.
    """
    build: Any = model_class(config)
    try:
        with torch.device("meta"):
            view = headed(blank(config, build, path, revision, trust_remote_code))
    except ValueError as error:
        raise ArchitectureError(
            f"{config.model_type} is not a language model with a decoder: {first_line(str(error))}",
            mend="Give a chat model that writes text.",
        ) from error
    if not view.attention_layers:
        raise ArchitectureError(f"this {config.model_type} has no attention heads.", mend="Give a model that has some.")
    return view


def _dtype(config: PretrainedConfig, asked: str) -> torch.dtype:
    own = getattr(config.get_text_config(), "dtype", None) or getattr(config, "dtype", None) or torch.float32
    dtype = own if asked == "auto" else getattr(torch, asked)
    assert isinstance(dtype, torch.dtype)
    return dtype


def _choices(view: HeadedModel, projections: str) -> list[HeadShare]:
    count, layer = len(list(view.heads())), view.attention_layers[0]
    weights = 0
    for which in projections.split(","):
        name, rows = view.projection_slice(layer, which, 0)
        inputs, outputs = features(view.model.get_submodule(name))
        weights += len(rows) * (outputs if which == "o" else inputs)
    counts = [max(1, round(share * count)) for share in SHARES]
    return [HeadShare(heads=some, share=some / count, parameters=some * weights) for some in counts]


def _packed(config: PretrainedConfig, settings: RunConfig, notes: list[str]) -> Packed | None:
    """How the weights of blocks are kept: as the checkpoint has them, or quantised as they are loaded."""
    if settings.bits is not None:
        demand_unquantised(config)
        return in_bits_packed(settings.bits)
    found = packed(config)
    if found is None:
        return None
    if missing := missing_libraries(found):
        notes.append(
            f"its weights are quantised ({found.method}) and cannot be loaded here: {' and '.join(missing)} cannot be "
            "imported. Install what is missing, or give the model that it was quantised from."
        )
    if found.size is None:
        notes.append(
            f"its weights are quantised ({found.method}), but how many bits they take is not known: they are counted "
            "as if they were not."
        )
    return found


def inspect_model(
    model: str,
    settings: RunConfig | None = None,
    pairs: Sequence[ContrastPair] | None = None,
    items: Items | None = None,
) -> Inspection:
    """Says what every stage would take, from config, tokenizer and the questions that the settings name.

    Args:
        model: a local folder or a Hub id.
        settings: of the run; the model's own by default.
        pairs: of the run, where its questions have been read.
        items: what it is evaluated on; as many as the settings ask for by default.

    Raises:
        InputError: no config can be read, or fetched from the Hub.
        ArchitectureError: no layout is known for the architecture.
        ConfigError: a setting is unknown.
    """
    settings = settings or settings_of(model, None, {})
    code = settings.revision, settings.trust_remote_code
    config = read_config(model, *code)
    with asking_hub(model), minding_code(model, *code):
        view = skeleton(config, model, *code)
    dtype = _dtype(config, settings.dtype)
    tokenizer = _tokenizer(model, *code)
    if tokenizer is not None:
        demand_known_words(tokenizer, config, model)
    notes: list[str] = [view.layout.notes] if view.layout.notes else []
    if came_along(view.model):
        heads = f"{view.layout.layers}.*.{view.layout.attention}.{view.layout.out_proj}"
        notes.append(
            f"its class, {type(view.model).__name__}, came with it and was run; its heads seem to be at {heads}, "
            "which is held to brute force once its weights are loaded."
        )
    prompts = prompts_of(tokenizer, settings, notes, pairs)
    projections = settings.tune.projections or default_projections(view)
    choices = _choices(view, projections)
    answers, kept = candidates(tokenizer, settings, notes), _packed(config, settings, notes)
    measured = [len(answer.tokens) for answer in answers if answer.given] or 2 * [_NO_TOKENIZER_ANSWER]
    work = Workload.of(settings, prompts.tokens, choices[2].parameters, measured)
    # In another dtype, weights are copied as they are loaded.
    work = work._replace(packed=kept, mapped=dtype == _dtype(config, "auto"))
    return Inspection(
        model=model,
        architecture=config.model_type,
        layers=view.n_layers,
        attention_layers=len(view.attention_layers),
        heads=view.n_heads,
        kv_heads=view.n_kv_heads,
        parameters=sum(parameter.numel() for parameter in view.model.parameters()),
        dtype=str(dtype).removeprefix("torch."),
        quantised="" if kept is None else kept.method,
        weight_bytes=round(weight_bytes(view, dtype.itemsize, kept)),
        chat_template=None if tokenizer is None else bool(tokenizer.chat_template),
        prompt_end=prompts.end,
        prompt_tokens=prompts.tokens,
        prompt_source=prompts.source,
        answers=answers,
        projections=projections,
        choices=choices,
        brute_force=locate_cost(view, dtype, work).brute_force,
        estimates=estimates(Asked(view, dtype, work, settings, items or Items.most(settings)), notes),
        notes=notes,
    )
