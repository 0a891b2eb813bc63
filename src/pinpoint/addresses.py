"""Files of data from elsewhere: fetched once, held to a checksum, and kept under it."""

import hashlib
import http.client
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote, urlsplit

from pinpoint.errors import InputError
from pinpoint.hub_files import demand_network, files_of, newest
from pinpoint.masking import masked_text
from pinpoint.storage import storing

_SCHEMES = ("https://", "http://", "hf://")
_HUB = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/]+))?/(.+)")
_SEVERAL = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(|.*[/*]))?")
_TIMEOUT = 60.0
_CHUNK = 1 << 20
_COMMIT = "[0-9a-f]{40}"


class _Source(NamedTuple):
    """Where a file lies, its name, and whether it is the Hub that is asked."""

    url: str
    name: str
    hub: bool = False


def is_remote(name: str) -> bool:
    """Whether a name is an address, and no path."""
    return name.startswith(_SCHEMES)


def rooted(path: Path) -> str:
    """A path from the root on, by which a file is found from wherever it is asked for.

    A link keeps the name that was given: what it leads to may have another, by whose ending it would be read.
    """
    return str(path.parent.resolve() / path.name)


def fetched(address: str, key: str) -> Path:
    """The file at an address, or a folder of files: from the cache where it is there, else fetched into it.

    Args:
        address: `https://HOST/FILE#sha256=DIGEST`, or `hf://datasets/ORG/NAME@COMMIT/FILE#sha256=DIGEST`. On the Hub
            several files may be named by what their paths begin with: `.../FOLDER/`, `.../FOLDER/test-*`, or
            `hf://datasets/ORG/NAME@COMMIT` for all; their checksum is that of `sha256sum *` in the folder.
        key: the setting that names it, for messages.

    Raises:
        InputError: it cannot be fetched, names no checksum or no commit, or is not the file of the checksum; nothing is
            kept then.
        StorageError: the cache cannot be written.
    """
    label = f"{key}: {masked_text(address)}"
    place, _, fragment = address.partition("#")
    wanted = fragment.removeprefix("sha256=").lower()
    if fragment and not (fragment.startswith("sha256=") and re.fullmatch("[0-9a-f]{64}", wanted)):
        raise InputError(
            "what follows # is not a checksum.", where=label, mend="Write #sha256= and 64 hexadecimal digits."
        )
    if several := _SEVERAL.fullmatch(place):
        repository, commit, beginning = several.groups(default="")
        return _folder(repository, commit, beginning.removesuffix("*"), wanted, label)
    source = _source(place, label)
    kept = cache() / (wanted or "none") / source.name
    if wanted and kept.is_file() and _digest_of(kept) == wanted:
        return kept
    with _beside_the_cache() as folder:
        partial = folder / "file"
        _fetch(source, partial, label)
        found = _digest_of(partial)
        if found != wanted:
            raise _unlike(found, wanted, label)
        with storing(kept):
            kept.parent.mkdir(exist_ok=True)
            partial.replace(kept)
    return kept


def _folder(repository: str, commit: str, beginning: str, wanted: str, label: str) -> Path:
    """The data files of a data set whose paths begin so, in one folder; its checksum is that of a list of theirs."""
    if not re.fullmatch(_COMMIT, commit):
        raise _no_commit(commit, label, f"It is at {newest(repository, label)} now. " if not commit else "")
    if ".." in beginning.split("/"):
        raise InputError(
            "is not a folder of a data set.", where=label, mend="Write hf://datasets/ORG/NAME@COMMIT/FOLDER/."
        )
    name = _flat(beginning) or repository.rpartition("/")[2]
    kept = cache() / (wanted or "none") / name
    if wanted and kept.is_dir() and _digest_below(kept) == wanted:
        return kept
    with _beside_the_cache() as folder:
        partial = folder / "files"
        partial.mkdir()
        above = len(beginning.rpartition("/")[0])
        for file in files_of(repository, commit, beginning, label):
            _fetch(_on_hub(repository, commit, file), partial / _flat(file[above:]), label)
        found = _digest_below(partial)
        if found != wanted:
            raise _unlike(found, wanted, label)
        with storing(kept):
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(exist_ok=True)
            partial.replace(kept)
    return kept


def _flat(path: str) -> str:
    return path.strip("/").replace("/", "-")


@contextmanager
def _beside_the_cache() -> Iterator[Path]:
    """A folder for what is being fetched, on the cache's own disk; gone afterwards."""
    with storing(cache()):
        cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix=".fetching-") as folder:
        yield Path(folder)


def cache() -> Path:
    """Where fetched files are kept, each in a folder named by its checksum: ~/.cache, or XDG_CACHE_HOME."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "pinpoint"


def _source(place: str, label: str) -> _Source:
    if not place.startswith("hf://"):
        try:
            parts = urlsplit(place)
            usable = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        name = unquote(parts.path).rpartition("/")[2] if usable else ""
        if not name or name in (".", "..") or "\0" in name or parts.username or parts.password:
            raise InputError(
                "is not the address of a file.", where=label, mend="Write https://HOST/FILE, with no password."
            )
        return _Source(place, name)
    match = _HUB.fullmatch(place)
    if match is None or ".." in match[3].split("/"):
        raise InputError("is not a file of a data set.", where=label, mend="Write hf://datasets/ORG/NAME@COMMIT/FILE.")
    repository, commit, file = match.groups()
    if not re.fullmatch(_COMMIT, commit or ""):
        raise _no_commit(commit, label)
    return _on_hub(repository, commit, file)


def _no_commit(commit: str | None, label: str, more: str = "") -> InputError:
    return InputError(
        f"names {'a branch or a tag, which move' if commit else 'no commit'}.",
        where=label,
        mend=f"{more}Write hf://datasets/ORG/NAME@COMMIT/FILE, COMMIT being 40 hexadecimal digits.",
    )


def _on_hub(repository: str, commit: str, file: str) -> _Source:
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repository, file, repo_type="dataset", revision=commit)
    return _Source(url, file.rpartition("/")[2], hub=True)


_ADVICE = "Look at the address, or fetch the file yourself and give its path."


def _fetch(source: _Source, to: Path, label: str) -> None:
    from huggingface_hub import get_token

    demand_network(label, hub=source.hub)
    request = urllib.request.Request(source.url, headers={"User-Agent": "pinpoint"})
    if source.hub and (token := get_token()):
        # Not sent on to where the Hub redirects to.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer, to.open("wb") as file:
            _copy(answer, file, to)
    except urllib.error.HTTPError as error:
        error.close()
        raise InputError(
            f"cannot be fetched: the server answers {error.code} ({error.reason}).", where=label, mend=_ADVICE
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"cannot be fetched: {reason or type(error).__name__}.", where=label, mend=_ADVICE) from error


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], to: Path) -> None:
    while some := answer.read(_CHUNK):
        with storing(to):
            file.write(some)
    # Less than was promised ends a read by pieces like the end of the file does.
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)


def _digest_below(folder: Path) -> str:
    """The checksum of what `sha256sum *` says in a folder, in the order of bytes."""
    lines = [f"{_digest_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest_of(path: Path) -> str:
    with storing(path, "read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unlike(found: str, wanted: str, label: str) -> InputError:
    if not wanted:
        what = f"names no checksum; what lies there now has the SHA-256 {found}."
        return InputError(what, where=label, mend=f"Add #sha256={found} once you have looked at it.")
    return InputError(
        f"has the SHA-256 {found}, not {wanted}; nothing was kept.",
        where=label,
        mend="The file was changed, or the checksum is of another one.",
    )
