"""The layouts that are known, by `config.model_type`."""

from transformers import PreTrainedModel

from pinpoint.errors import ArchitectureError, ConfigError
from pinpoint.models._code import came_along
from pinpoint.models._deepseek import DEEPSEEK, DEEPSEEK_HYBRID, DEEPSEEK_SPARSE
from pinpoint.models._gpt import CODEGEN, GPT2, GPT_BIGCODE, GPT_NEO, GPT_NEOX, GPTJ
from pinpoint.models._hybrid import (
    GATED_DELTA,
    GATED_DELTA_OF_WRAPPER,
    GRANITE_HYBRID,
    LFM2,
    LFM2_OF_WRAPPER,
    LFM3,
    MINIMAX,
    NEMOTRON_H,
    OLMO_HYBRID,
    STATE_SPACE,
)
from pinpoint.models._layout import Layout
from pinpoint.models._left_out import left_out
from pinpoint.models._llama import EXAONE4_5, IDEFICS3, LLAMA, LLAMA4, PHI, PHI3, TEXT_OF_WRAPPER
from pinpoint.models._others import BIOGPT, BLOOM, DBRX, FALCON, MPT, OPT, PERSIMMON
from pinpoint.models._spec import HeadedModel
from pinpoint.models._unknown import looked_for

LAYOUTS: tuple[Layout, ...] = (
    LLAMA,
    PHI,
    PHI3,
    TEXT_OF_WRAPPER,
    EXAONE4_5,
    IDEFICS3,
    LLAMA4,
    GPT2,
    GPT_BIGCODE,
    GPT_NEO,
    GPTJ,
    CODEGEN,
    GPT_NEOX,
    OPT,
    BIOGPT,
    BLOOM,
    FALCON,
    MPT,
    PERSIMMON,
    DBRX,
    DEEPSEEK,
    DEEPSEEK_SPARSE,
    DEEPSEEK_HYBRID,
    STATE_SPACE,
    LFM2,
    LFM2_OF_WRAPPER,
    LFM3,
    GRANITE_HYBRID,
    GATED_DELTA,
    GATED_DELTA_OF_WRAPPER,
    OLMO_HYBRID,
    MINIMAX,
    NEMOTRON_H,
)


_ADDED: list[Layout] = []


def register(layout: Layout) -> None:
    """Makes an architecture known for the rest of the process.

    Before a model of it is located with, the layout is held to brute force on one short pair of random tokens.

    Args:
        layout: where the architecture keeps its blocks, attention and projections.

    Raises:
        ConfigError: it is of no model_type, or of one that is known already.
    """
    if not layout.model_types:
        raise ConfigError("the layout is of no model_type.", where="register", mend="Give those of config.model_type.")
    if both := sorted(set(layout.model_types) & set(known_types())):
        raise ConfigError(f"model_type {', '.join(both)} is known already.", where="register", mend="Leave it out.")
    _ADDED.append(layout)


def is_shipped(layout: Layout) -> bool:
    """Whether a layout comes with the package, whose tests hold it to brute force."""
    return layout in LAYOUTS


def known_types() -> list[str]:
    """Every `model_type` that has a layout."""
    return sorted(name for layout in (*LAYOUTS, *_ADDED) for name in layout.model_types)


def layout_of(model_type: str) -> Layout | None:
    """The layout of an architecture, if one is known."""
    return next((layout for layout in (*LAYOUTS, *_ADDED) if model_type in layout.model_types), None)


def _alike(model: PreTrainedModel) -> Layout | None:
    """The first shipped layout whose every place is there in a model whose class came with its checkpoint."""
    views = (HeadedModel(model, layout) for layout in LAYOUTS)
    return next((view.layout for view in views if _fits(view)), None)


def _fits(view: HeadedModel) -> bool:
    try:
        view.check_places()
    except (ArchitectureError, AttributeError, TypeError, ArithmeticError, AssertionError):
        # A layout asks the config and the modules for what its own architectures have.
        return False
    return True


def headed(model: PreTrainedModel) -> HeadedModel:
    """Sees a model through the layout of its architecture.

    A model type that is not known, of a class that came with the checkpoint, is seen through the first layout that all
    of it fits; locating holds that to brute force before it is used (`pinpoint.locate`).

    Raises:
        ArchitectureError: no layout is registered for its `config.model_type`; says why, where it is left out on
            purpose; or its heads cannot share its key/value heads evenly.
    """
    layout = layout_of(model.config.model_type)
    if layout is None and (one := left_out(model.config.model_type)):
        raise ArchitectureError(
            f"{one.name} (model_type {model.config.model_type!r}) is left out, for {one.why}.",
            where=type(model).__name__,
            mend="Take a model of a supported architecture: docs/families.md.",
        )
    if layout is None and came_along(model):
        layout = _alike(model)
    if layout is None:
        raise ArchitectureError(
            f"no layout is known for model_type {model.config.model_type!r}; known are {', '.join(known_types())}. "
            f"Looked for in it were the names that a Layout starts from, Llama's: it {looked_for(model)}.",
            where=type(model).__name__,
            mend="Write a Layout that says what is lacking, as `print(model)` shows it, "
            f"`Layout(model_types=({model.config.model_type!r},), out_proj=...)`, and give it to "
            "pinpoint.models.register: docs/new-architectures.md has an example and every field.",
        )
    view = HeadedModel(model, layout)
    if view.n_heads % view.n_kv_heads:
        raise ArchitectureError(
            f"{view.n_heads} attention heads cannot share {view.n_kv_heads} key/value heads evenly.",
            where=type(model).__name__,
            mend="Mend num_attention_heads or num_key_value_heads in config.json.",
        )
    return view
