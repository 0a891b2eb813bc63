"""`pinpoint chat`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pinpoint.cli._common import Device, Dtype, Offline, Quiet, Revision, TrustRemoteCode, model_path, typed_settings
from pinpoint.cli._opened import tell_of_code, terminal
from pinpoint.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pinpoint.chat import Lineup
    from pinpoint.config import RunConfig


def chat(
    run: Annotated[str, typer.Argument(help="A run folder, or a model on its own.", metavar="RUN")],
    web: Annotated[
        bool | None, typer.Option("--web/--terminal", help="Where; by default a web page where gradio is installed.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address of the web page.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the web page; 0 for any that is free.", min=0, max=65535)] = 7860,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens after which a reply is cut.", min=1)] = 256,
    dtype: Dtype = None,
    device: Device = None,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
    offline: Offline = False,
    quiet: Quiet = False,
) -> None:
    """Talk to the base and the tuned model of a run side by side, and switch heads of the base off and on.

    Example: pinpoint chat runs/yesman --terminal
    """
    there = find_spec("gradio") is not None
    if web and not there:
        raise InputError(
            "the web page needs gradio.", where="--web", mend="pip install 'pinpoint-tuning[chat]', or use --terminal."
        )
    typed = typed_settings(dtype=dtype, device=device, revision=revision, trust_remote_code=trust_remote_code)
    settings = _settings(run, typed)
    if web or (web is None and there):
        from pinpoint.cli._chat_web import serve
        from pinpoint.cli._port import free_port

        found = free_port(host, port)
        serve(_lineup(run, settings, max_new_tokens, quiet), host, found)
        return
    from pinpoint.cli._chat_terminal import TerminalChat

    lineup = _lineup(run, settings, max_new_tokens, quiet)
    if web is None and not quiet:
        typer.echo("gradio is not installed, so this is the terminal: pip install 'pinpoint-tuning[chat]'", err=True)
    TerminalChat(lineup).loop()


def _settings(run: str, typed: dict[str, Any]) -> "RunConfig":
    """Those of the run, or of the model, before torch is imported for either.

    Raises:
        ConfigError: it is neither.
    """
    from pinpoint.config import of_run, settings_of

    folder = Path(run)
    if _is_run(folder):
        return of_run(folder).model_copy(update=typed)
    if folder.exists() and not (folder / "config.json").is_file():
        raise ConfigError(
            "holds neither a run nor a model.", where=run, mend="Start a run with `pinpoint run MODEL --out DIR`."
        )
    return settings_of(model_path(run), None, typed)


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def _lineup(run: str, settings: "RunConfig", max_new_tokens: int, quiet: bool) -> "Lineup":
    tell_of_code(settings, quiet=quiet)
    from pinpoint.pipeline import lineup_of_model, lineup_of_run

    with terminal(quiet=quiet, stopped="stopped: the chat had not begun.") as progress:
        if _is_run(Path(run)):
            return lineup_of_run(settings, Path(run), progress, max_new_tokens=max_new_tokens)
        return lineup_of_model(settings, progress, max_new_tokens=max_new_tokens)
