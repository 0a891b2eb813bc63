"""`pinpoint sweep`."""

from typing import Annotated

import typer

from pinpoint.cli._common import (
    BatchSize,
    Behaviour,
    Bits,
    Config,
    Device,
    DeviceMap,
    Dtype,
    Fork,
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
from pinpoint.errors import ConfigError


def _numbers(text: str | None, flag: str, kind: type[int] | type[float]) -> list[float] | None:
    try:
        return None if text is None else [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is not a list of numbers.", where=flag, mend="Write 1,2,4 or 0.1,0.5,1."
        ) from error


def sweep(
    model: Model,
    over: Annotated[str, typer.Option(help="What to vary, by comma: heads, data, pairs.")] = "heads,data,pairs",
    counts: Annotated[str | None, typer.Option(help="Numbers of heads; 1, 2, 4, ... half of all by default.")] = None,
    shares: Annotated[str | None, typer.Option(help="Fractions of the training questions, up to 1.")] = None,
    out: Out = None,
    config: Config = None,
    questions: Questions = None,
    behaviour: Behaviour = None,
    dtype: Dtype = None,
    device: Device = None,
    device_map: DeviceMap = None,
    bits: Bits = None,
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
    """Vary the number of tuned heads, of training questions, and of the pairs that rank the heads.

    Says which number of heads does best on the validation questions, which is what --heads validation tunes.

    Example: pinpoint sweep yesman --over heads --counts 1,2,4,6,8
    """
    given = {"counts": _numbers(counts, "--counts", int), "shares": _numbers(shares, "--shares", float)}
    settings = typed_settings(
        questions=questions,
        behaviour=behaviour,
        dtype=dtype,
        device=device,
        device_map=device_map,
        bits=bits,
        batch_size=batch_size,
        revision=revision,
        trust_remote_code=trust_remote_code,
        seed=seed,
        thinking=thinking,
        template=template,
        sweep={key: value for key, value in given.items() if value is not None},
    )
    kinds = [kind.strip() for kind in over.split(",")]
    from pinpoint.pipeline import check_kinds, counts_of, sweep_run

    check_kinds(kinds)
    with started(model, config, settings, out, fork=fork, quiet=quiet) as run:
        from pinpoint.cli._tables import print_sweep
        from pinpoint.report import write_sweep

        counts_of(run)  # before anything is done with them
        if not run.is_done("locate"):
            run.do("locate")
        found = sweep_run(run, kinds)
        page = write_sweep(run.workspace.sub("sweep"), run.config)
    print_json(found) if as_json else print_sweep(found, run.inputs.behaviour, page)
