"""What is asked of a locator, and what of it goes together."""

import hashlib
from dataclasses import dataclass, field
from typing import get_args

from jaxtyping import Float
from torch import Tensor

from pinpoint.config import misfit
from pinpoint.data import Side
from pinpoint.errors import ConfigError
from pinpoint.heads import Head, HeadSet
from pinpoint.locate._dealt import SETTING
from pinpoint.locate._naive import naive
from pinpoint.locate._protocol import Engine
from pinpoint.locate._sweep import sweep
from pinpoint.memory import BatchSize
from pinpoint.models import PARTS
from pinpoint.nodes import Kind

ENGINES: dict[str, Engine] = {"sweep": sweep, "naive": naive}
METHODS = ("path", "activation", "attribution", "knockout", "probe", "random")
POSITIONS = ("last", "suffix", "all")

# What scores say of methods that have no choice of engines.
_BY_METHOD = {
    "activation": "cached",
    "attribution": "gradient",
    "knockout": "cached",
    "probe": "ridge",
    "random": "seeded",
}


@dataclass(frozen=True)
class Ask:
    """What is asked of every pair; see `pinpoint.locate`, and where there are receivers, `pinpoint.locate_paths`.

    Asks that share their batch sizes learn from one another what fits.
    """

    method: str = "path"
    positions: str = "last"
    kinds: tuple[Kind, ...] = ("heads",)
    metric: str = "logit_diff"
    engine: str = "sweep"
    batch_size: int | BatchSize = 32
    rows_per_chunk: int | BatchSize = 4096
    padding_side: Side = "left"
    given: HeadSet = field(default_factory=HeadSet)
    seed: int = 0
    receivers: HeadSet = field(default_factory=HeadSet)
    through: str = ""
    noise_pairs: int = 0
    means: Float[Tensor, "layer head d_head"] | None = None

    def check(self) -> None:
        """Refuses what is unknown, and what does not go together.

        Raises:
            ConfigError: names the setting.
        """
        for name, known in (("engine", tuple(ENGINES)), ("method", METHODS), ("positions", POSITIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} {value!r} is unknown.", mend=f"Use one of {', '.join(known)}.")
        if self.receivers:
            if self.through not in PARTS:
                raise ConfigError(f"through {self.through!r} is unknown.", mend=f"Use one of {', '.join(PARTS)}.")
            if self.through == "q" and self.positions != "last":
                raise ConfigError(
                    f"positions {self.positions!r} goes with k and v: a query acts on its own position alone.",
                    where="positions",
                    mend="Use positions 'last', or through 'k' or 'v'.",
                )
        elif found := misfit(self.method, self.positions, self.engine, self.kinds):
            raise ConfigError(f"{found}.", where="locate", mend="docs/locators.md says what goes together.")
        self._check_numbers()
        if self.noise_pairs < 0:
            raise ConfigError(
                f"noise_pairs must be 0 or more; got {self.noise_pairs}.", where="locate", mend="Use 0 to measure none."
            )
        if self.given and self.method != "path":
            raise ConfigError(
                f"heads can be given under method 'path' alone, not under {self.method!r}.",
                where="given",
                mend="Leave out given, or use method 'path'.",
            )
        if (self.means is None) == (self.method == "knockout"):
            raise ConfigError(
                "method 'knockout' needs means, which heads put out instead; no other method takes them.",
                where="means",
                mend="Give pinpoint.measure.head_means of neutral dialogues under method 'knockout', and there alone.",
            )

    def _check_numbers(self) -> None:
        for name in ("batch_size", "rows_per_chunk"):
            value = getattr(self, name)
            if not isinstance(value, BatchSize) and (not isinstance(value, int) or value < 1):
                raise ConfigError(
                    f"{name} must be a whole number of 1 or more; got {value!r}.", where=name, mend="Leave it out."
                )
        if self.padding_side not in get_args(Side):
            raise ConfigError(
                f"padding_side {self.padding_side!r} is unknown.", mend=f"Use one of {', '.join(get_args(Side))}."
            )
        for head in (*self.given, *self.receivers):
            if not isinstance(head, Head):
                raise ConfigError(
                    f"{head!r} is not a head.", where="given", mend='Give pinpoint.Head.parse("L0.H3") for "L0.H3".'
                )

    @property
    def names_work(self) -> tuple[object, ...]:
        """What the effects on a pair depend on, beside the pair and the model."""
        path = (self.receivers, self.through) if self.receivers else ()
        means = () if self.means is None else (hashlib.sha256(self.means.cpu().double().numpy().tobytes()).hexdigest(),)
        return (self.metric, self.engine, self.given, self.method, self.positions, self.kinds, *path, *means)

    @property
    def at_once(self) -> BatchSize:
        """Pairs, or patched prompts, at once."""
        return BatchSize.of(self.batch_size, SETTING)

    @property
    def one_by_one(self) -> bool:
        """Whether rows fill a forward pass with a single pair."""
        return self.method in ("activation", "knockout") or bool(self.receivers)

    @property
    def engine_name(self) -> str:
        """What did the work, in scores."""
        if self.engine == "naive":
            return "naive"
        return "cached" if self.receivers else _BY_METHOD.get(self.method, self.engine)
