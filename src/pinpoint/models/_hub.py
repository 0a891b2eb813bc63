"""Models of the Hub where there is no network: from what was fetched before, or an error at once."""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from pinpoint.errors import InputError, PinpointWarning

_VARIABLE = "HF_HUB_OFFLINE"
_AGAIN_AFTER = 60.0
_unreached_at: dict[str, float] = {}


@contextmanager
def asking_hub(path: str | Path) -> Iterator[None]:
    """Within the block, what is no folder comes from the cache alone where the Hub cannot be reached.

    The Hub's own client asks a network that is not there six times for every file, which takes minutes.

    Args:
        path: a folder, or what may be a Hub id.

    Raises:
        InputError: it is no folder, was not fetched before, and the Hub cannot be reached or is not to be asked.

    Warns:
        PinpointWarning: the Hub cannot be reached; once a minute.
    """
    if Path(path).exists():
        yield
        return
    if constants.HF_HUB_OFFLINE:
        with _told(path, "and --offline or HF_HUB_OFFLINE asks no network.", "Leave that out"):
            yield
        return
    if _is_reached(constants.ENDPOINT):
        yield
        return
    variable = os.environ.get(_VARIABLE)
    # PEFT reads the variable, the others what huggingface_hub made of it.
    constants.HF_HUB_OFFLINE, os.environ[_VARIABLE] = True, "1"
    try:
        with _told(path, f"and {constants.ENDPOINT} cannot be reached.", "Connect this machine to the network"):
            yield
    finally:
        constants.HF_HUB_OFFLINE = False
        if variable is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = variable


@contextmanager
def _told(path: str | Path, why: str, mend: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not isinstance(error.__cause__ or error, LocalEntryNotFoundError):
            raise
        raise InputError(
            f"is no folder, was not fetched from the Hub before, {why}",
            where=str(path),
            mend=f"{mend}, or give a folder of a model.",
        ) from error


def _is_reached(endpoint: str) -> bool:
    """Whether a server answers; one that does not is told of, and not asked again for a minute."""
    since = time.monotonic() - _unreached_at.get(endpoint, -_AGAIN_AFTER)
    if since < _AGAIN_AFTER:
        return False
    # urllib knows no SOCKS proxy, which the Hub's client may go through.
    if "all" in urllib.request.getproxies() or _answers(endpoint):
        return True
    _unreached_at[endpoint] = time.monotonic()
    warnings.warn(f"{endpoint} cannot be reached: what was fetched before is used.", PinpointWarning, stacklevel=5)
    return False


def _answers(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "pinpoint"})
    try:
        urllib.request.urlopen(request, timeout=constants.HF_HUB_ETAG_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        error.close()
    except urllib.error.URLError as error:
        # Certificates are the Hub's client's to judge: it may hold others.
        return isinstance(error.reason, ssl.SSLError)
    except (OSError, http.client.HTTPException):
        pass  # It was there, and broke off: the client may try again.
    return True
