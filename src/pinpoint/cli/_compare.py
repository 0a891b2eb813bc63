"""`pinpoint compare`."""

from typing import Annotated, Any

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
    typed_settings,
)
from pinpoint.cli._opened import print_json, started

_QUICK: dict[str, dict[str, Any]] = {
    "compare": {
        "methods": ["full", "lora", "random", "bottom", "system_prompt"],
        "draws": 1,
        "tries": 1,
    },
    "evaluate": {"items": 150, "ability_items": 50, "neutral_items": 100},
}


def _section(methods: str | None, draws: int | None, quick: bool) -> dict[str, Any]:
    sections: dict[str, Any] = {name: dict(section) for name, section in _QUICK.items()} if quick else {}
    given = {"methods": methods.split(",") if methods else None, "draws": draws}
    typed = {key: value for key, value in given.items() if value is not None}
    return sections | ({"compare": sections.get("compare", {}) | typed} if typed else {})


def compare(
    model: Model,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    behaviour: Behaviour = None,
    heads: Heads = None,
    methods: Annotated[str | None, typer.Option(help="Methods, separated by commas; all by default.")] = None,
    draws: Annotated[int | None, typer.Option(help="Random and layer-matched head sets.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few methods, few items, no search: minutes.")] = False,
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
    sections = _section(methods, draws, quick)
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
        **sections,
    )
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
