"""`pinpoint compare`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinpoint.cli._common import (
    BatchSize,
    Behaviour,
    Config,
    Device,
    Dtype,
    Fork,
    Heads,
    Json,
    Model,
    Offline,
    Out,
    Questions,
    Quiet,
    Revision,
    Seed,
    Template,
    Thinking,
    TrustRemoteCode,
    model_path,
    typed_settings,
)
from pinpoint.cli._opened import print_json, started
from pinpoint.errors import ConfigError

if TYPE_CHECKING:
    from pinpoint.config import RunConfig

_FEW = ("full", "lora", "random", "bottom", "system_prompt")
_QUICK = {
    "compare": {"draws": 1, "tries": 1},
    "evaluate": {"items": 150, "ability_items": 50, "neutral_items": 100},
}


def _named(methods: str) -> list[str]:
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if not names:
        mend = "Give some, such as full,lora, or leave it out for all."
        raise ConfigError("names no method.", where="--methods", mend=mend)
    return names


def _quickly(config: "RunConfig") -> dict[str, dict[str, Any]]:
    """What `--quick` sets: no more than the other settings ask for."""
    found: dict[str, dict[str, Any]] = {
        section: {key: min(most, getattr(getattr(config, section), key)) for key, most in numbers.items()}
        for section, numbers in _QUICK.items()
    }
    asked = config.compare.methods
    found["compare"]["methods"] = tuple(one for one in _FEW if one in asked) or asked[: len(_FEW)]
    return found


def compare(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    behaviour: Behaviour = None,
    heads: Heads = None,
    methods: Annotated[str | None, typer.Option(help="Methods, separated by commas; all by default.")] = None,
    draws: Annotated[int | None, typer.Option(help="Random and layer-matched head sets.")] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help=f"Minutes: {', '.join(_FEW)}; one draw, no search; at most {_QUICK['evaluate']['items']} questions, "
            f"{_QUICK['evaluate']['ability_items']} items of each ability and {_QUICK['evaluate']['neutral_items']} "
            "neutral dialogues. Where your settings have less, theirs; of methods, those of these that they name.",
        ),
    ] = False,
    dtype: Dtype = None,
    device: Device = None,
    batch_size: BatchSize = None,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
    seed: Seed = None,
    thinking: Thinking = None,
    template: Template = None,
    fork: Fork = False,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare pinpoint tuning with other methods: full, LoRA, other heads, prompts, steering. One table, with tests.

    Example: pinpoint compare yesman --quick
    """
    from pinpoint.config import settings_of

    given = {"methods": None if methods is None else _named(methods), "draws": draws}
    typed = {key: value for key, value in given.items() if value is not None}
    settings = typed_settings(
        questions=questions,
        behaviour=behaviour,
        heads=heads,
        dtype=dtype,
        device=device,
        batch_size=batch_size,
        revision=revision,
        trust_remote_code=trust_remote_code,
        seed=seed,
        thinking=thinking,
        template=template,
        compare=typed,
    )
    if quick:
        less = _quickly(settings_of(model_path(model), config, settings))
        settings |= {section: numbers | settings.get(section, {}) for section, numbers in less.items()}
    with started(model, config, settings, out, fork=fork, quiet=quiet) as run:
        from pinpoint.cli._tables import print_comparison
        from pinpoint.pipeline import compare_run
        from pinpoint.report import write_comparison

        for stage in ("locate", "verify") if run.config.tune.heads == "auto" else ("locate",):
            if not run.is_done(stage):
                run.do(stage)
        found = compare_run(run)
        page = write_comparison(run.workspace.sub("compare"), run.config)
    print_json(found) if as_json else print_comparison(found, run.inputs.behaviour, page)
