"""Chat completions of an OpenAI-compatible server: retried where that may help, one clear error where not."""

import email.utils
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from pinpoint.errors import InputError, first_line

KEY = "PINPOINT_JUDGE_KEY"
_TRIES = 5
_LONGEST_WAIT = 60.0
_LARGEST = 4 * 2**20  # bytes of an answer that is read
_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_MENDS = {
    401: f"Set {KEY} to a key that it takes.",
    403: f"Set {KEY} to a key that may use this model.",
    404: "Look at the URL, which ends in /v1 for most servers, and at the model's name.",
}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Again(Exception):
    """A request that may succeed later."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass
class Endpoint:
    """A model behind an OpenAI-compatible server.

    Attributes:
        url: base URL; /chat/completions is below it.
        model: the model's name there.
        timeout: seconds that one answer may take.
        sleep: waits between tries.

    What a server says of itself beside the reply (`usage`, `model`) is not read: some of it is wrong.
    """

    url: str
    model: str
    timeout: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    _opener: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(_NoRedirects), repr=False
    )

    def reply(self, prompt: str, max_tokens: int = 16) -> str:
        """What the model says to one message of the user, at temperature 0.

        Raises:
            InputError: it cannot be had: the server refuses, is not there, or is no such server.
        """
        reason = ""
        for attempt in range(_TRIES):
            try:
                return self._text(self._ask(prompt, max_tokens))
            except _Again as again:
                reason = str(again)
                if attempt + 1 < _TRIES:
                    backoff = 2**attempt * (1 + random.random() / 4)
                    self.sleep(min(_LONGEST_WAIT, backoff if again.wait is None else again.wait))
        raise self._error(
            f"{reason}, {_TRIES} times.", "See whether it is up; a later call goes on where this stopped."
        )

    def _ask(self, prompt: str, max_tokens: int) -> bytes:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": max_tokens,
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                return bytes(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except TimeoutError as error:
            raise _Again(f"it did not answer within {self.timeout:g} s") from error
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, TimeoutError):
                raise _Again(f"it did not answer within {self.timeout:g} s") from error
            raise _Again(f"there is no connection ({cause or type(cause).__name__})") from error

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        told = _told(error.read(_LARGEST))
        if error.code in _AGAIN:
            return _Again(f"it answers {error.code} {error.reason}{told}", _wait(error.headers))
        if 300 <= error.code < 400:
            return self._error(f"it redirects to {error.headers.get('Location')!r}.", "Give that URL itself.")
        return self._error(f"it answers {error.code} {error.reason}{told}.", _MENDS.get(error.code, ""))

    def _text(self, body: bytes) -> str:
        try:
            answer = json.loads(body)
            text = answer["choices"][0]["message"]["content"]
        except (ValueError, RecursionError) as error:
            begin = first_line(body[:200].decode("utf-8", "replace"))[:60]
            what = "an HTML page" if body.lstrip()[:1] == b"<" else "no JSON"
            raise self._error(f"it answers with {what} ({begin!r}).", _MENDS[404]) from error
        except (KeyError, IndexError, TypeError) as error:
            raise self._error("its JSON holds no choices[0].message.content.", _MENDS[404]) from error
        if text is not None and not isinstance(text, str):
            raise self._error("its message's content is no text.", "Give a server of chat completions.")
        return text or ""

    def _error(self, what: str, mend: str) -> InputError:
        return InputError(what, where=f"judge {self.model} at {self.url}", mend=mend)


def _told(body: bytes) -> str:
    """What a server says is wrong, in short, where it says so as JSON."""
    try:
        found = json.loads(body)
        error = found.get("error", found) if isinstance(found, dict) else {}
        message = error.get("message", "") if isinstance(error, dict) else error
    except (ValueError, RecursionError):
        return ""
    return f" ({first_line(message)[:200]})" if isinstance(message, str) and message.strip() else ""


def _wait(headers: Message) -> float | None:
    """Seconds that `Retry-After` asks for, given as a number or as a date."""
    asked = headers.get("Retry-After")
    if not asked:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return None
