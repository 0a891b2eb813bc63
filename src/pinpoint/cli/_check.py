"""`pinpoint check`."""

from typing import Annotated

import typer

from pinpoint.cli._common import (
    Bits,
    Config,
    Device,
    Dtype,
    Json,
    Model,
    Offline,
    Revision,
    Template,
    Thinking,
    model_path,
    typed_settings,
)
from pinpoint.cli._opened import print_json, terminal
from pinpoint.errors import CheckFailed


def check(
    model: Model,
    config: Config = None,
    dtype: Dtype = None,
    device: Device = None,
    bits: Bits = None,
    revision: Revision = None,
    thinking: Thinking = None,
    template: Template = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Load the model and check the sweep against brute force on one pair.")
    ] = False,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Say whether a model is supported and what a run would take, from its config and tokenizer alone.

    Example: pinpoint check mistralai/Mistral-7B-Instruct-v0.2
    """
    from pinpoint.config import notices, settings_of

    path = model_path(model)
    settings = settings_of(
        path,
        config,
        typed_settings(dtype=dtype, device=device, bits=bits, revision=revision, thinking=thinking, template=template),
    )
    from pinpoint.cli._plans import print_inspection
    from pinpoint.pipeline import compare_on_one_pair, inspect_model

    with terminal(quiet=True, stopped="stopped: nothing was written."):
        found = inspect_model(path, settings)
        verified = compare_on_one_pair(path, settings) if verify else None
    for line in notices(settings):
        typer.echo(line, err=True)
    if as_json:
        print_json(found.model_dump() | ({} if verified is None else {"verified_to": verified.difference}))
    else:
        print_inspection(found, model)
        if verified is not None:
            typer.echo(
                f"sweep against brute force on one pair in {verified.dtype}: largest relative difference "
                f"{verified.difference:.1e}"
            )
    if verified is not None and not verified.difference < verified.limit:
        raise CheckFailed(
            f"the sweep and brute force differ by {verified.difference:.1e} (limit {verified.limit:.0e}).",
            where=model,
            mend="Use --engine naive, and report the architecture.",
        )
