"""Settings of every stage: frozen, typed, unknown keys refused, YAML round trip."""

from pinpoint.config._behaviour import BehaviourConfig, Contrast, SycophancyConfig
from pinpoint.config._code import code_warning
from pinpoint.config._compare import CompareConfig, Method
from pinpoint.config._data import FURTHER_SETS, DataConfig
from pinpoint.config._evaluate import EvaluateConfig
from pinpoint.config._judge import ITSELF, NOT_ITSELF, JudgeConfig
from pinpoint.config._locate import CONTINUED, PATCHING, LocateConfig, misfit
from pinpoint.config._openings import AUTO, Texts, words_of
from pinpoint.config._packaged import notices, packaged_settings
from pinpoint.config._question_sources import ROLES, QuestionSource
from pinpoint.config._read import NO_YAML, merge, parse_config, read_settings
from pinpoint.config._resolve import resolve
from pinpoint.config._run import FETCHED_MAPS, SPREAD_MAPS, Bits, DeviceMap, RunConfig
from pinpoint.config._sources import of_run, settings_of
from pinpoint.config._sweep import SweepConfig
from pinpoint.config._tune import TuneConfig
from pinpoint.config._user import MeasureSettings, Rule, SplitFiles, UserBehaviourConfig, checked_targets
from pinpoint.config._verify import VerifyConfig

__all__ = [
    "AUTO",
    "CONTINUED",
    "FETCHED_MAPS",
    "FURTHER_SETS",
    "ITSELF",
    "NOT_ITSELF",
    "NO_YAML",
    "PATCHING",
    "ROLES",
    "SPREAD_MAPS",
    "BehaviourConfig",
    "Bits",
    "CompareConfig",
    "Contrast",
    "DataConfig",
    "DeviceMap",
    "EvaluateConfig",
    "JudgeConfig",
    "LocateConfig",
    "MeasureSettings",
    "Method",
    "QuestionSource",
    "Rule",
    "RunConfig",
    "SplitFiles",
    "SweepConfig",
    "SycophancyConfig",
    "Texts",
    "TuneConfig",
    "UserBehaviourConfig",
    "VerifyConfig",
    "checked_targets",
    "code_warning",
    "merge",
    "misfit",
    "notices",
    "of_run",
    "packaged_settings",
    "parse_config",
    "read_settings",
    "resolve",
    "settings_of",
    "words_of",
]
