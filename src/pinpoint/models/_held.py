"""What a block holds in memory as it runs, counted from a model's shapes."""

from pinpoint.models._spec import HeadedModel


def inner_width(view: HeadedModel) -> int:
    """Width of an MLP between its matrices."""
    return int(getattr(view.config, "intermediate_size", None) or 4 * view.config.hidden_size)


def held_per_token(view: HeadedModel) -> int:
    """Numbers that a block holds for a token as it runs; activation functions written in Python take several copies."""
    heads_width = (view.n_heads + 2 * view.n_kv_heads) * view.head_dim
    return 6 * int(view.config.hidden_size) + max(5 * inner_width(view), 2 * heads_width)
