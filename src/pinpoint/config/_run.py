"""Everything that a run depends on."""

from typing import Literal

import yaml

from pinpoint.config._base import Settings
from pinpoint.config._behaviour import BehaviourConfig, SycophancyConfig
from pinpoint.config._compare import CompareConfig
from pinpoint.config._data import DataConfig
from pinpoint.config._evaluate import EvaluateConfig
from pinpoint.config._judge import JudgeConfig
from pinpoint.config._locate import LocateConfig
from pinpoint.config._tune import TuneConfig
from pinpoint.config._verify import VerifyConfig


class RunConfig(Settings):
    """Everything that a run depends on."""

    model: str
    """A local folder or a Hub id."""
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    device: str = "auto"
    seed: int = 0
    thinking: bool | None = None
    """Whether a reasoning model thinks before it replies (`enable_thinking` of its chat template); null for the
    template's own choice."""
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

    def to_yaml(self) -> str:
        """The resolved settings as YAML that `parse_config` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
