"""Sending an export to the Hub: what would go, whether it may, and the upload itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id
from pydantic import BaseModel

from pinpoint.artifacts import file_digest
from pinpoint.checks import CheckResult
from pinpoint.errors import ArtifactError, ConfigError, ExportRefused, InputError, first_line
from pinpoint.masking import masked_text
from pinpoint.pipeline._card import CARD
from pinpoint.pipeline._export import MANIFEST, export_run, source_of

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

_HTTP = {
    401: ("the Hub does not know the token", "Log in again with `hf auth login`, or set HF_TOKEN."),
    402: ("the Hub asks for payment", "Look at the plan of this account."),
    403: ("the token may not write there", "Use a token with write access to this namespace."),
    413: ("the Hub finds a file too large", "Push from a machine with hf-xet installed."),
    429: ("the Hub asks to slow down", "Try again later."),
}


class _File(BaseModel):
    bytes: int
    sha256: str


class _Manifest(BaseModel):
    """What `export_run` wrote, as far as it is looked at here."""

    checks: list[CheckResult]
    files: dict[str, _File]
    run: dict[str, str]


class Package(NamedTuple):
    """An export that may be sent.

    Attributes:
        folder: where it lies.
        sizes: bytes by file; nothing else is sent.
    """

    folder: Path
    sizes: dict[str, int]


class Target(NamedTuple):
    """A repository on the Hub.

    Attributes:
        repo: user/name.
        exists: whether it is there already.
        private: whether it is, or would be made, private.
    """

    repo: str
    exists: bool
    private: bool


def package_of(folder: Path) -> Package:
    """Opens an export and holds its files to the digests taken when it was checked. The card may have been edited.

    Raises:
        ArtifactError: the folder holds no export, or a file is missing or was changed.
        ExportRefused: the export's check failed.
    """
    manifest = _manifest(folder)
    failed = [check for check in manifest["checks"] if not check["ok"]]
    if failed or not manifest["checks"]:
        detail = f"check {failed[0]['name']!r} failed: {failed[0]['detail']}" if failed else "it was never checked"
        raise ExportRefused(f"{detail}.", where=str(folder), mend="Export again.")
    sizes = {}
    for name, one in manifest["files"].items():
        path = folder / name
        if not _is_within(folder, name):
            raise ArtifactError(f"{name!r} lies outside the export.", where=str(folder), mend="Export again.")
        if not path.is_file() or (name != CARD and file_digest(path) != one["sha256"]):
            what = "is missing" if not path.is_file() else "is not what was checked: its digest differs"
            raise ArtifactError(f"{what}.", where=str(path), mend="Export again, to another folder or in its place.")
        sizes[name] = path.stat().st_size
    return Package(folder, sizes | {MANIFEST: (folder / MANIFEST).stat().st_size})


def _is_within(folder: Path, name: str) -> bool:
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except ValueError:  # what no file can be called
        return False


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        _Manifest.model_validate(manifest)
    except OSError as error:
        raise ArtifactError(
            f"holds no export: no {MANIFEST}.", where=str(folder), mend="Make one with `pinpoint export RUN`."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError("is not what `pinpoint export` wrote.", where=str(path), mend="Export again.") from error
    return manifest


def exported(run: Run) -> Path:
    """The run's own export, `export/`, made if need be.

    Raises:
        ArtifactError: it was made of an earlier tuning or evaluation of the run.
        ExportRefused: the merged model does not say what the live adapter says.
    """
    folder = run.workspace.path("export")
    if not folder.is_dir() or not any(folder.iterdir()):
        export_run(run, folder)
    elif _manifest(folder)["run"] != source_of(run):
        raise ArtifactError(
            "was made of an earlier tuning or evaluation of this run.",
            where=str(folder),
            mend="Remove it, or push an export of your choice by its folder.",
        )
    return folder


def target(repo: str, api: HfApi, *, public: bool) -> Target:
    """Looks a repository up, before anything is asked or sent.

    Raises:
        ConfigError: `repo` is no user/name.
        InputError: there is no token, the Hub refuses or cannot be reached, or the repository is public and `public`
            was not said.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(f"{repo!r} is not a name on the Hub.", where="--to", mend="Write user/name.") from error
    if repo.count("/") != 1:
        raise ConfigError(f"{repo!r} names no user or organisation.", where="--to", mend="Write user/name.")
    if not (api.token or get_token()):
        raise InputError("there is no Hub token.", where=repo, mend="Log in with `hf auth login`, or set HF_TOKEN.")
    with _talking(repo):
        api.whoami()
        try:
            known = api.model_info(repo)
        except RepositoryNotFoundError:
            return Target(repo, exists=False, private=not public)
    if not known.private and not public:
        raise InputError("exists and is public.", where=repo, mend="Give --public, or another name.")
    return Target(repo, exists=True, private=bool(known.private))


def push(package: Package, to: Target, api: HfApi) -> str:
    """Makes the repository if need be, and sends the export in one commit.

    Files in `adapter/` and `merged/` that this export lacks are removed; other files of the repository stay.

    Returns:
        The address of the commit.

    Raises:
        InputError: the Hub refuses or cannot be reached.
    """
    with _talking(to.repo):
        if not to.exists:
            api.create_repo(to.repo, private=to.private)
        commit = api.upload_folder(
            repo_id=to.repo,
            folder_path=package.folder,
            commit_message="Pinpoint-tuned model: adapter, merged weights, card, record",
            allow_patterns=list(package.sizes),
            delete_patterns=["adapter/*", "merged/*"] if to.exists else None,
        )
    return str(commit.commit_url)


@contextmanager
def _talking(repo: str) -> Iterator[None]:
    """Turns what the Hub's client raises into one error that shows no token."""
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        what, mend = _HTTP.get(status, ("the Hub refused", "Look at the message, and try again later."))
        said = masked_text(first_line(error.server_message or ""))
        raise InputError(f"{what} (HTTP {status}{f': {said}' if said else ''}).", where=repo, mend=mend) from None
    except Exception as error:
        # Besides its own kinds the library raises the HTTP client's, hf-xet's, and OSError for want of a network.
        reason = masked_text(first_line(str(error)) or type(error).__name__)
        cause = f" ({masked_text(first_line(str(error.__cause__)))})" if str(error.__cause__ or "") else ""
        raise InputError(
            f"the Hub cannot be reached, or the upload broke off: {reason}{cause}.",
            where=repo,
            mend="Look at the network, and run the same command again; what was sent is not sent twice.",
        ) from None
