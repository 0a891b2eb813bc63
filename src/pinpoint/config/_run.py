"""Everything that a run depends on."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from pinpoint.config._base import Settings
from pinpoint.config._behaviour import BehaviourConfig, Contrast, SycophancyConfig
from pinpoint.config._compare import CompareConfig
from pinpoint.config._data import DataConfig
from pinpoint.config._evaluate import EvaluateConfig
from pinpoint.config._judge import JudgeConfig
from pinpoint.config._locate import LocateConfig
from pinpoint.config._sweep import SweepConfig
from pinpoint.config._tune import TuneConfig
from pinpoint.config._verify import VerifyConfig

FETCHED_MAPS = ("host", "disk")
"""Device maps under which blocks are fetched as they run."""
SPREAD_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Device maps of accelerate's own."""
_MAPS = (*FETCHED_MAPS, *SPREAD_MAPS)


def _known_map(value: Any) -> Any:
    """One message for two forms; pydantic would give one for each."""
    if isinstance(value, str) and value not in _MAPS:
        raise ValueError(f"{value!r} is none of: {', '.join(_MAPS)}, a mapping of module names to devices")
    return value


DeviceMap = str | Mapping[str, int | str]
"""Where weights lie: a name, or a device for each module."""

Bits = Literal[4, 8]
"""Of a quantised weight."""


class RunConfig(Settings):
    """Everything that a run depends on."""

    model: str
    """A local folder or a Hub id."""
    revision: str | None = None
    trust_remote_code: bool = False
    """Whether code that comes with the model may run, with the rights of whoever runs it (docs/usage.md)."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str = "auto"
    device_map: Annotated[str | dict[str, int | str] | None, BeforeValidator(_known_map)] = None
    """Where the weights lie, if not on one device: host, disk, auto... (docs/scale.md)."""
    bits: Bits | None = None
    """4 or 8 to quantise the base's weights as they are loaded (bitsandbytes); null to leave them as they are."""
    seed: int = Field(0, ge=0, lt=2**31)
    thinking: bool | None = None
    """Whether a reasoning model thinks before it replies (`enable_thinking` of its chat template); null for the
    template's own choice."""
    template: str = "own"
    """The chat template: own, plain (for a model that has none), or the path of a Jinja file, whose text takes its
    place here."""
    data: DataConfig = DataConfig()
    behaviour: BehaviourConfig = SycophancyConfig()
    """The built-in behaviour, or one of the user's, which has a name."""
    locate: LocateConfig = LocateConfig()
    verify: VerifyConfig = VerifyConfig()
    tune: TuneConfig = TuneConfig()
    full: TuneConfig | None = TuneConfig(learning_rate=3e-5)
    """Full fine-tuning beside it; null to leave it out."""
    evaluate: EvaluateConfig = EvaluateConfig()
    judge: JudgeConfig = JudgeConfig()
    compare: CompareConfig = CompareConfig()
    sweep: SweepConfig = SweepConfig()

    @field_validator("template")
    @classmethod
    def _is_a_template(cls, template: str) -> str:
        if template in ("own", "plain") or "{{" in template or "{%" in template:
            return template
        raise ValueError(f"{template[:60]!r} is none of: own, plain, the path of a Jinja file")

    @field_validator("locate")
    @classmethod
    def _contrasts_there(cls, locate: LocateConfig, info: ValidationInfo) -> LocateConfig:
        # A behaviour that was refused is told of by itself.
        if locate.contrasts and not isinstance(info.data.get("behaviour", SycophancyConfig()), SycophancyConfig):
            raise ValueError(
                f"contrasts {', '.join(locate.contrasts)} are the built-in behaviour's: a behaviour of your own has "
                "the pairs of its file alone"
            )
        return locate

    @property
    def contrast(self) -> str:
        """The contrast that ranks the heads; empty for a behaviour of the user's, whose pairs have no name."""
        return self.behaviour.contrast if isinstance(self.behaviour, SycophancyConfig) else ""

    @property
    def further_contrasts(self) -> tuple[Contrast, ...]:
        """The contrasts that the first heads are held to, beside the one that ranks them."""
        if not self.contrast or not self.locate.can_contrast:
            return ()
        usual: tuple[Contrast, ...] = ("neutral",) if self.contrast == "affirmed" else ("affirmed",)
        asked = usual if self.locate.contrasts is None else self.locate.contrasts
        return tuple(name for name in dict.fromkeys(asked) if name != self.contrast)

    @field_validator("tune")
    @classmethod
    def _is_not_searched_for(cls, tune: TuneConfig) -> TuneConfig:
        if tune.search is not None:
            raise ValueError("search tells how full fine-tuning's learning rate was chosen: give it under `full`")
        return tune

    @field_validator("full")
    @classmethod
    def _nothing_is_frozen(cls, full: TuneConfig | None) -> TuneConfig | None:
        if full is not None and full.cache_prefix:
            raise ValueError("cache_prefix is for head slices: in full fine-tuning no layer stays as it is")
        return full

    @field_validator("full")
    @classmethod
    def _same_dialogues(cls, full: TuneConfig | None) -> TuneConfig | None:
        for name, usual in (("explanations", "none"), ("wrong_answers", "dealt")):
            if full is not None and getattr(full, name) != usual:
                raise ValueError(f"{name} are set under tune: full fine-tuning has the same dialogues")
        return full

    def to_yaml(self) -> str:
        """The resolved settings as YAML that `parse_config` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
