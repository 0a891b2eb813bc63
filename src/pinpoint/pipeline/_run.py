"""The stages in order, meeting in the artifacts of one run folder."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from pinpoint.artifacts import Workspace
from pinpoint.checks import CheckResult
from pinpoint.config import FETCHED_MAPS, Bits, RunConfig
from pinpoint.errors import ConfigError
from pinpoint.heads import Head, HeadSet
from pinpoint.locate import try_layout
from pinpoint.models import HeadedModel, Loaded, came_along, headed, load, sharing_weights
from pinpoint.pipeline._card import CARD, write_card
from pinpoint.pipeline._checks import demand
from pinpoint.pipeline._contrasts import follow_contrast
from pinpoint.pipeline._environment import note_environment
from pinpoint.pipeline._evaluation import evaluate_run
from pinpoint.pipeline._inputs import Inputs
from pinpoint.pipeline._locating import follow_locate, locate_run
from pinpoint.pipeline._preconditions import demand_of_one_piece, other_settings
from pinpoint.pipeline._record import RECORD, write_record
from pinpoint.pipeline._served import served
from pinpoint.pipeline._stages import LEFT, clear, settle, settled
from pinpoint.pipeline._template import rendering
from pinpoint.pipeline._tunable import check_full, check_tunable
from pinpoint.pipeline._tuning import follow_tune, follow_tune_full, tune_full_run, tune_run
from pinpoint.pipeline._verifying import verify_run
from pinpoint.processes import Processes
from pinpoint.progress import Progress, Silent
from pinpoint.tune import put_on

STAGES: dict[str, Callable[["Run"], Any]] = {
    "locate": locate_run,
    "verify": verify_run,
    "tune": tune_run,
    "tune_full": tune_full_run,
    "evaluate": evaluate_run,
}

# What the other processes do when the first one shares its work.
_FOLLOWED: dict[str, Callable[..., None]] = {
    "locate": follow_locate,
    "contrast": follow_contrast,
    "tune": follow_tune,
    "tune_full": follow_tune_full,
}


_CHECKS = "checks.json"


class Run:
    """A run folder and the stages that fill it. Each stage reads what the ones before it wrote.

    Args:
        config: the settings.
        folder: the run folder; made if need be.
        progress: told of everything.
        processes: those that run it together; the first calls the stages, the others `follow`.
        device: where to compute, if not where the settings say; results are the same but for rounding.

    Attributes:
        device: where models are put.
        inputs: what the stages work on.
        workspace: the run folder.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        progress: Progress | None = None,
        processes: Processes | None = None,
        device: str | None = None,
    ) -> None:
        self.config = config
        self.device = device or config.device
        self.workspace = Workspace(folder)
        self.progress: Progress = progress or Silent()
        self.processes = processes or Processes()
        self.inputs = Inputs(config, self.progress, self.workspace)
        self._doing = ""
        self._told = set[str]()
        set_seed(config.seed)

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        self.progress.say(f"loading {self.config.model}")
        model, tokenizer = self.load(self.config.model, self.config.revision, self.config.bits)
        if came_along(model):
            # Not every stage begins with locating, which asks the same.
            try_layout(headed(model))
        return model, rendering(tokenizer, self.config)

    def load(
        self, path: str | Path, revision: str | None = None, bits: Bits | None = None, device: str | None = None
    ) -> Loaded:
        """Loads a model where the settings say, or elsewhere; in `bits`, which those of them have for the base alone.

        Raises:
            ConfigError: it would be spread over devices that other processes of this command use too.
        """
        config = self.config
        if self.processes.count > 1 and config.device_map is not None and config.device_map not in FETCHED_MAPS:
            raise ConfigError(
                "spreads a model over devices that the processes share.",
                where="device_map",
                mend="Use one process, or device map host or disk.",
            )
        where = device or self.device
        return load(path, config.dtype, where, revision, config.device_map, bits, config.trust_remote_code)

    @property
    def model(self) -> PreTrainedModel:
        """The base model."""
        return self._loaded[0]

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        return self._loaded[1]

    @property
    def view(self) -> HeadedModel:
        """The base model seen through its layout."""
        return headed(self.model)

    @property
    def chosen(self) -> dict[str, bool | str]:
        """What provenance says of how prompts are rendered, where the settings say anything."""
        said = {"thinking": self.config.thinking, "template": self.config.template}
        return {name: value for name, value in said.items() if value not in (None, "own")}

    def ranking(self) -> HeadSet:
        """All heads, from the ranking half of the pairs; the locate stage must have run."""
        return HeadSet(Head.parse(name) for name in self.workspace.sub("locate").read_json("locate.json")["ranking"])

    def tuned_models(self) -> dict[str, Path]:
        """The tuned models that this run has, by method: what `load_tuned` is given."""
        folders = {"pinpoint": served(self.workspace)}
        if self.config.full is not None:
            folders["full"] = self.workspace.path("full/merged")
        return {name: folder for name, folder in folders.items() if folder.is_dir()}

    def load_tuned(self, folder: Path) -> PreTrainedModel:
        """A tuned model, as `tuned_models` names it; where that is an adapter, a base of its own with it on.

        What tuning left as it was is held once, by the base: do not change either's weights in place.
        """
        if not (folder / "adapter_config.json").is_file():
            if self.config.device_map is not None:
                return self.load(folder).model
            return sharing_weights(self.load(folder, device="cpu").model, self.model)
        base = self.load(self.config.model, self.config.revision, self.config.bits).model
        put_on(base, folder)
        return base

    def note(self, result: CheckResult) -> None:
        """Keeps a check's result for the page, then stops the run if it failed, or tells of it, once."""
        kept = [check for check in self._checks() if check["name"] != result.name]
        self.workspace.write_json(_CHECKS, [*kept, result.model_dump() | {"stage": self._doing}])
        demand(result)
        if not result.ok and result.name not in self._told:
            self._told.add(result.name)
            self.progress.say(result.warning)

    def _checks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.workspace.read_json(_CHECKS) if self.workspace.has(_CHECKS) else []
        return found

    def share(self, work: str, **inputs: Any) -> None:
        """Has the other processes take part in a piece of work that this one is about to do."""
        if self.processes.first:
            self.processes.from_first({"work": work, "inputs": inputs})

    def dismiss(self) -> None:
        """Lets the other processes go: there is no more work."""
        self.processes.from_first(None)

    def follow(self) -> None:
        """Takes part in what the first process shares, until it dismisses this one."""
        while (asked := self.processes.from_first(None)) is not None:
            set_seed(self.config.seed)
            _FOLLOWED[asked["work"]](self, **asked["inputs"])

    def is_done(self, stage: str) -> bool:
        """Whether a stage is done with these settings and inputs, and what it left is whole."""
        return settled(self, stage)

    def do(self, stage: str) -> Any:
        """Runs one stage, and records what it left so that it need not be run again."""
        # A stage gives the same result whether or not others ran before it in this process.
        set_seed(self.config.seed)
        if self.workspace.root.is_dir():  # else a stage that refuses its inputs leaves no folder
            note_environment(self)
        checks = self._checks()
        if others := [check for check in checks if check.get("stage") == stage]:
            # Of the stage as it was done before: other settings may not ask for them.
            self.workspace.write_json(_CHECKS, [check for check in checks if check not in others])
        self._doing = stage
        try:
            result = STAGES[stage](self)
        finally:
            self._doing = ""
        note_environment(self)
        self.workspace.write_text("config.yaml", self.config.to_yaml())
        settle(self, stage)
        return result

    def all(self) -> Path:
        """Every stage in order. A stage that is done with the same settings and inputs is kept.

        Returns:
            The page.

        Raises:
            InputError: a measure is left to another model, and none is named.
        """
        self.inputs.check_judge()
        if not self.is_done("tune") and (self.config.device_map is not None or self.config.bits is not None):
            check_tunable(self)
        if not self.is_done("tune_full"):
            check_full(self)
        for number, stage in enumerate(LEFT, 1):
            kept = self.is_done(stage)
            self.progress.heading(number, len(LEFT) + 1, f"{stage}: done before, kept" if kept else stage)
            if kept:
                clear(self, stage)
            else:
                self.do(stage)
        # What it names may have been moved since.
        self.workspace.write_text("config.yaml", self.config.to_yaml())
        self.progress.heading(len(LEFT) + 1, len(LEFT) + 1, "report")
        return self.report()

    def report(self) -> Path:
        """Writes the page, `report.html`; where every stage is done, also the model card and what a rerun needs.

        Raises:
            ArtifactError: a stage is missing, was changed, or is not of the others: an evaluation of another tuning.
        """
        from pinpoint.report import write_page

        demand_of_one_piece(self.workspace, self.config.model)
        others = other_settings(self)
        outdated = f"done with other settings or inputs than those below, or by another version: {', '.join(others)}."
        page = write_page(self.workspace, [outdated] if others else [])
        if all(self.is_done(stage) for stage in LEFT):
            write_card(self, write_record(self))
        else:
            self.workspace.drop(RECORD)
            self.workspace.drop(CARD)
        return page
