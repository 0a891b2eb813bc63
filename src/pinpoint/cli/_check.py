"""`pinpoint check`."""

from typing import Annotated

import typer

from pinpoint.cli._common import Config, Device, Dtype, Json, Model, model_path, print_json, terminal, typed_settings
from pinpoint.errors import CheckFailed

_LIMIT = 1e-4


def check(
    model: Model,
    config: Config = None,
    dtype: Dtype = None,
    device: Device = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Load the model and hold the sweep to brute force on one pair.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say whether a model is supported and what it would take, from its config and tokenizer alone.

    Example: pinpoint check mistralai/Mistral-7B-Instruct-v0.2
    """
    from pinpoint.config import notices, settings_of

    path = model_path(model)
    settings = settings_of(path, config, typed_settings(dtype=dtype, device=device))
    from pinpoint.cli._tables import print_inspection
    from pinpoint.pipeline import compare_on_one_pair, inspect_model

    with terminal(quiet=True):
        found = inspect_model(path, settings)
        difference = compare_on_one_pair(path, device or "auto") if verify else None
    for line in notices(settings):
        typer.echo(line, err=True)
    if as_json:
        print_json(found.model_dump() | ({} if difference is None else {"verified_to": difference}))
    else:
        print_inspection(found)
        if difference is not None:
            typer.echo(f"sweep against brute force on one pair: largest relative difference {difference:.1e}")
    if difference is not None and not difference < _LIMIT:
        raise CheckFailed(
            f"the sweep and brute force differ by {difference:.1e} (limit {_LIMIT:.0e}).",
            where=model,
            mend="Use --engine naive, and report the architecture.",
        )
