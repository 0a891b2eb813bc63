"""`pinpoint config`."""

import json
from typing import Annotated

import typer

from pinpoint.cli._common import Config, model_path


def config(
    model: Annotated[
        str | None,
        typer.Argument(help="A folder, a Hub id, or a shipped organism; none for defaults.", metavar="[MODEL]"),
    ] = None,
    config: Config = None,
    schema: Annotated[
        bool, typer.Option("--schema/--show", help="The JSON schema of the settings, for an editor; or the settings.")
    ] = False,
) -> None:
    """Show the settings that a run would have: defaults, then the model's own, a file's, PINPOINT_* variables.

    Example: pinpoint config yesman --config settings.yaml
    """
    from pinpoint.config import RunConfig, settings_of

    if schema:
        typer.echo(json.dumps(RunConfig.model_json_schema(), indent=1))
        return
    path = model_path(model) if model else "MODEL"
    typer.echo(settings_of(path, config, {}).to_yaml(), nl=False)
