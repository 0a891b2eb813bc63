"""What a block holds in memory as it runs, counted from a model's shapes."""

from pinpoint.models._spec import HeadedModel


def inner_width(view: HeadedModel) -> int:
    """Width of an MLP between its matrices."""
    return int(getattr(view.config, "intermediate_size", None) or 4 * view.config.hidden_size)


def residual_size(view: HeadedModel, size: int) -> int:
    """Bytes of a number of the residual stream that patched rows carry: float32 at the least, but beside experts.

    Args:
        view: the model.
        size: bytes of a number that the model computes.
    """
    return size if view.routers else max(size, 4)


def held_per_token(view: HeadedModel, size: int, residual: int | None = None, *, handed_back: bool = False) -> int:
    """Bytes that a block holds for a token as it runs; activation functions written in Python take several copies.

    Args:
        view: the model.
        size: bytes of a number that its matrices compute.
        residual: bytes of a number of the residual stream; None where that is no wider.
        handed_back: freed memory goes back to the system at once. Then GELU's four copies are all; left alone, about
            as much as one of them lies idle.
    """
    heads_width = (view.n_heads + 2 * view.n_kv_heads) * view.head_dim
    inner = max((4 if handed_back else 5) * inner_width(view), 2 * heads_width)
    return 6 * int(view.config.hidden_size) * (size if residual is None else residual) + inner * size
