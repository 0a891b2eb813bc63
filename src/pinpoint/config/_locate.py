"""Settings of `locate`."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from pinpoint.config._base import Settings
from pinpoint.config._behaviour import Contrast
from pinpoint.nodes import Kind

CONTINUED = ("logprob_diff", "mean_logprob_diff")
"""Metrics of whole continuations."""
PATCHING = ("path", "activation", "attribution")
"""Methods whose effects are those of the counterfactual's values, and so depend on the contrast."""


def misfit(method: str, positions: str, engine: str, nodes: Sequence[str]) -> str | None:
    """Why settings of a locator do not go together, in a sentence without its full stop; None where they do."""
    if positions != "last" and method not in ("activation", "attribution"):
        where = "knocks heads out at every position" if method == "knockout" else "looks at the last position alone"
        ours = f"positions {positions!r} goes with methods activation and attribution"
        return f"{ours}, not with {method!r}, which {where}"
    if engine == "naive" and method not in ("path", "activation", "knockout"):
        return f"engine 'naive' goes with methods path, activation and knockout; {method!r} has no brute force"
    beyond = [kind for kind in nodes if kind != "heads"]
    if beyond and method != "path":
        return f"nodes {', '.join(beyond)} go with method path, not with {method!r}, which scores heads alone"
    return None


class LocateConfig(Settings):
    """Settings of `locate`."""

    method: Literal["path", "activation", "attribution", "knockout", "probe", "random"] = "path"
    """How heads are scored: docs/locators.md says what each measures."""
    positions: Literal["last", "suffix", "all"] = "last"
    """Where activation and attribution patching exchange a head's output."""
    nodes: tuple[Kind, ...] = ("heads",)
    """What is scored beside heads: groups (heads that share a key/value head), attention (whole layers), mlps."""
    exact_pairs: int = Field(4, ge=0)
    """Pairs on which attribution patching is compared with activation patching; 0 for none."""
    noise_pairs: int = Field(8, ge=0)
    """Pairs that are scored once more in the next wider dtype, to measure what rounding alone does; 0 for none."""
    metric: Literal["logit_diff", "log_odds", "paper_share", "logprob_diff", "mean_logprob_diff"] = "logit_diff"
    """The metric of effects: the first three read the answers' first tokens, the others whole answers."""
    engine: Literal["sweep", "naive"] = "sweep"
    pairs: int = Field(100, ge=2)
    """Maximum number of contrast pairs; half rank the heads, the other half show their effects."""
    contrasts: tuple[Contrast, ...] | None = None
    """Further contrasts that the first heads are scored under: affirmed, neutral, wrong_first; [] for none, null for
    neutral (affirmed where another ranks the heads). docs/method.md says what each shows."""
    batch_size: int = Field(32, ge=1)
    """Pairs in a pass; under activation patching and knockout prompts, to begin with: a GPU that has room takes up to
    four times as many. Halved where memory runs out."""
    rows_per_chunk: int = Field(4096, ge=1)
    """Patched rows that run through a block at once, at the most; fewer where the free memory would not take them."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if "heads" not in self.nodes:
            raise ValueError("nodes must hold heads: the stages after this one need their ranking")
        if found := misfit(self.method, self.positions, self.engine, self.nodes):
            raise ValueError(found)
        if self.contrasts and not self.can_contrast:
            raise ValueError(
                "contrasts go with methods path, activation and attribution, whose effects depend on the other prompt, "
                "at positions 'last', since their prompts differ in length"
            )
        return self

    @property
    def can_contrast(self) -> bool:
        """Whether further contrasts can be scored: they exchange the other prompt, and theirs differ in length."""
        return self.method in PATCHING and self.positions == "last"
