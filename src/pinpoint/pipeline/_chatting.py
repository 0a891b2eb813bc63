"""Who talks in a chat: the base and the tuned model of a run, or a model alone."""

from pathlib import Path

import torch

from pinpoint.artifacts import Workspace
from pinpoint.chat import Lineup, Located, Partner
from pinpoint.config import RunConfig, VerifyConfig
from pinpoint.data import system, user
from pinpoint.errors import ArtifactError, InputError
from pinpoint.heads import Head
from pinpoint.locate import try_layout
from pinpoint.measure import head_means
from pinpoint.models import HeadedModel, Loaded, came_along, headed, load
from pinpoint.pipeline._inputs import Inputs
from pinpoint.pipeline._preconditions import demand_base, demand_whole
from pinpoint.pipeline._served import served
from pinpoint.pipeline._talk import questions_there, talk_of
from pinpoint.pipeline._template import fitted, rendering
from pinpoint.progress import Progress
from pinpoint.tune import put_on


def lineup_of_model(config: RunConfig, progress: Progress, *, max_new_tokens: int) -> Lineup:
    """A model alone. Its heads can be knocked out where it comes with neutral dialogues or questions.

    Raises:
        InputError: it cannot be loaded, or is no chat model.
    """
    config, lost = fitted(config)
    if lost:
        progress.say(lost.failure)
    return _lineup(config, progress, None, max_new_tokens)


def lineup_of_run(config: RunConfig, folder: Path, progress: Progress, *, max_new_tokens: int) -> Lineup:
    """The base and the tuned model of a run, with the heads that were located.

    Args:
        config: the run's settings.
        folder: the run folder; nothing is written to it.
        progress: told what is loaded.
        max_new_tokens: a reply is cut after as many tokens.

    Raises:
        ArtifactError: the run has no tuned model yet, or not the one that tuning left, or its base is another model.
        InputError: a model cannot be loaded.
    """
    if not served(Workspace(folder)).is_dir():
        raise ArtifactError(
            "the run has no tuned model yet.",
            where=str(folder / "merged"),
            mend=f"Make it with `pinpoint tune {folder}`, or talk to the base alone: `pinpoint chat {config.model}`.",
        )
    demand_whole(Workspace(folder), "tune", config.model)
    demand_base(Workspace(folder), config.model)
    return _lineup(config, progress, folder, max_new_tokens)


def _lineup(config: RunConfig, progress: Progress, folder: Path | None, max_new_tokens: int) -> Lineup:
    inputs = Inputs(config, progress, None if folder is None else Workspace(folder))
    # What is quick to read is read first: a run that is no good is told before a model is loaded.
    located, unit = ((), "") if folder is None else _located(Workspace(folder), config.verify)
    talk = talk_of(inputs)

    def partner(loaded: Loaded) -> Partner:
        loaded = Loaded(loaded.model, rendering(loaded.tokenizer, config))
        view = headed(loaded.model)
        return Partner(
            view,
            loaded.tokenizer,
            unwanted=talk.unwanted,
            wanted=talk.wanted,
            begun=talk.begun,
            values=lambda: _values(view, loaded, inputs),
            max_new_tokens=max_new_tokens,
        )

    def base() -> Loaded:
        progress.say(f"loading {config.model}")
        loaded = load(
            config.model,
            config.dtype,
            config.device,
            config.revision,
            config.device_map,
            config.bits,
            config.trust_remote_code,
        )
        if came_along(loaded.model):
            try_layout(headed(loaded.model))
        return loaded

    def tuned(path: Path) -> Loaded:
        if (path / "adapter_config.json").is_file():
            loaded = base()
            put_on(loaded.model, path)
            return loaded
        progress.say(f"loading {path}")
        return load(
            path,
            config.dtype,
            config.device,
            device_map=config.device_map,
            trust_remote_code=config.trust_remote_code,
        )

    partners = {"base": partner(base())}
    if folder is not None:
        partners["tuned"] = partner(tuned(served(Workspace(folder))))
    if not talk.unwanted and inputs.answers_found:
        progress.say("no gauge: behaviour.unwanted and wanted name no first words, and locate has not found any here")
    lineup = Lineup(
        Path(config.model).name,
        partners,
        talk.challenge,
        talk.system,
        located,
        unit,
        talk.questions,
        talk.seconds,
        talk.lean,
        talk.gauged_from,
    )
    for one in partners.values():
        one.view.check(head.head for head in located)
        one.prompt([*system(talk.system), user("Hello.")])
    return lineup


def _located(space: Workspace, config: VerifyConfig) -> tuple[tuple[Located, ...], str]:
    """The heads that verify knocks out and those that were tuned, strongest first, and the unit of their effects."""
    tuned = {Head.parse(name) for name in space.read_json("tune.json")["heads"]}
    if not space.sub("locate").has("locate.json"):
        return tuple(Located(head, None, True) for head in sorted(tuned)), ""
    record = space.sub("locate").read_json("locate.json")
    ranking = [Head.parse(name) for name in record["ranking"]]
    shown = [head for rank, head in enumerate(ranking) if rank < config.max_heads or head in tuned]
    found = (Located(head, record["mean"][head.layer][head.head], head in tuned) for head in shown)
    return tuple(found), record["unit"]


def _values(view: HeadedModel, loaded: Loaded, inputs: Inputs) -> torch.Tensor:
    """What a knocked-out head puts out: what verify has it put out."""
    config = inputs.config
    if config.verify.mode == "zero":
        return torch.zeros(view.n_layers, view.n_heads, view.head_dim)
    if not (config.data.neutral and Path(config.data.neutral).exists()) and not questions_there(config):
        raise InputError(
            "knocking heads out needs neutral dialogues to take means over, and this model comes with none.",
            mend="Chat with a run of it (`pinpoint run`), or set verify.mode to zero.",
        )
    return head_means(view, loaded.tokenizer, inputs.neutral, config.verify.batch_size)
