"""`pinpoint check`."""

from typing import TYPE_CHECKING, Annotated

import typer

from pinpoint.cli._common import (
    Bits,
    Config,
    Device,
    DeviceMap,
    Dtype,
    Json,
    Model,
    Offline,
    Revision,
    Template,
    Thinking,
    TrustRemoteCode,
    model_path,
    typed_settings,
)
from pinpoint.cli._opened import print_json, tell_of_code, terminal
from pinpoint.errors import CheckFailed

if TYPE_CHECKING:
    from pinpoint.config import RunConfig


def check(
    model: Model,
    config: Config = None,
    dtype: Dtype = None,
    device: Device = None,
    device_map: DeviceMap = None,
    bits: Bits = None,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
    thinking: Thinking = None,
    template: Template = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Load the model and check the sweep against brute force on one pair.")
    ] = False,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Say whether a model is supported and what a run would take, without loading its weights.

    Example: pinpoint check mistralai/Mistral-7B-Instruct-v0.2
    """
    from pinpoint.config import notices, settings_of

    path = model_path(model)
    typed = typed_settings(
        dtype=dtype,
        device=device,
        device_map=device_map,
        bits=bits,
        revision=revision,
        trust_remote_code=trust_remote_code,
        thinking=thinking,
        template=template,
    )
    settings = settings_of(path, config, typed)
    tell_of_code(settings)
    from pinpoint.cli._plans import print_inspection
    from pinpoint.pipeline import compare_on_one_pair, inspect_model

    with terminal(quiet=True, stopped="stopped: nothing was written."):
        found = inspect_model(path, settings)
        verified = compare_on_one_pair(path, settings) if verify else None
    for line in notices(settings):
        typer.echo(line, err=True)
    if as_json:
        held = {} if verified is None else {"verified_to": verified.difference, "verified_limit": verified.limit}
        print_json(found.model_dump() | held)
    else:
        print_inspection(found, model)
        if verified is not None:
            typer.echo(
                f"sweep against brute force on one pair in {verified.dtype}{_how(settings)}: largest relative "
                f"difference {verified.difference:.1e}, where rounding may make {verified.limit:.0e} of it"
            )
    if verified is not None and not verified.difference < verified.limit:
        raise CheckFailed(
            f"the sweep and brute force differ by {verified.difference:.1e} (limit {verified.limit:.0e}).",
            where=model,
            mend="Use --engine naive, and report the architecture.",
        )


def _how(settings: "RunConfig") -> str:
    """How weights are kept and where, if not in the dtype on one device."""
    bits = "" if settings.bits is None else f" and {settings.bits} bits"
    return bits + ("" if settings.device_map is None else f", device map {settings.device_map}")
