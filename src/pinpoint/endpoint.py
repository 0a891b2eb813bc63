"""A chat model behind an OpenAI-compatible HTTP endpoint."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import Message as Headers
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pinpoint.errors import EndpointError, InputError, first_line
from pinpoint.masking import masked_text

_PATH = "/chat/completions"
_USUAL_KEY = "OPENAI_API_KEY"
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504}  # states that pass: too many requests, overload, restarts
_LONGEST_WAIT = 120.0
_LARGEST_ANSWER = 1 << 24


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # A redirected POST becomes a GET, and would take the key along to another host.
    def redirect_request(self, *_: Any) -> None:
        return None


class Reply(NamedTuple):
    """What a model replies, and how that stands to the limit of tokens.

    Attributes:
        text: the reply.
        cut: whether it was cut at the limit, as far as the server says.
        over: whether it is longer than the limit, by the server's own count or by its words, of which none is less
            than a token.
        thought: what the model thought before, where the server gives that apart from the reply; else empty.
        short: whether the server counts fewer tokens in the dialogue than that has words, of which none is less than a
            token: it cut the dialogue before the model read it, or counts a part of it alone.
    """

    text: str
    cut: bool
    over: bool = False
    thought: str = ""
    short: bool = False


def base_of(url: str) -> str:
    """The base of an API from its URL, which may go on to its chat completions.

    Raises:
        ValueError: it is none, or holds what would be sent or written along with it.
    """
    base = url.rstrip("/").removesuffix(_PATH)
    try:
        parts = urlsplit(base)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        usable = usable and base.isascii() and base.isprintable() and " " not in base
        (parts.hostname or "").encode("idna")
    except ValueError:  # a host that is none is a UnicodeError
        usable = False
    if not usable:
        raise ValueError(f"{masked_text(url)!r} is not the URL of an endpoint, such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "the URL of an endpoint holds credentials, a query or a fragment: a key goes into an environment variable"
        )
    return base


def _whole(text: str) -> str:
    """A text without half characters, which a server leaves where it cuts a reply within one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _takes_usual_key(base: str) -> bool:
    """Whether a server may have the key of OPENAI_API_KEY unasked: OpenAI's own, and one on this machine."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if host == "api.openai.com":
        return parts.scheme == "https"
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Endpoint:
    """Asks a chat model for its most likely reply, at temperature 0.

    What passes (too many requests, overload, a lost connection, a time-out) is tried again: after as long as the
    server asks for in `Retry-After`, or else after 1, 2, 4... seconds.

    Args:
        url: base of the API, as http://localhost:8000/v1.
        model: the name by which the server knows the model.
        key_variable: the environment variable that holds the key. By default OPENAI_API_KEY, which goes to
            https://api.openai.com and to servers on this machine alone; one that is named goes wherever `url` leads.
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again.

    Raises:
        InputError: the URL is not one, or the key cannot be sent.
    """

    def __init__(
        self, url: str, model: str, key_variable: str | None = None, timeout: float = 60, retries: int = 5
    ) -> None:
        try:
            self.url = base_of(url)
        except ValueError as error:
            raise InputError(f"{error}.", where="endpoint", mend="Give the base of an API.") from None
        self.model, self._timeout, self._retries = model, timeout, retries
        self._variable = key_variable or (_USUAL_KEY if _takes_usual_key(self.url) else None)
        self._key = os.environ.get(self._variable, "").strip() if self._variable else ""
        if not (self._key.isascii() and self._key.isprintable()):
            raise InputError("holds characters that no key has.", where=str(self._variable), mend="Set it anew.")
        self._open = urllib.request.build_opener(_NoRedirect).open

    def chat(self, messages: Sequence[Mapping[str, str]], max_tokens: int) -> Reply:
        """The reply to a dialogue.

        Args:
            messages: with `role` and `content`, the last one the user's.
            max_tokens: the reply is cut after as many.

        Raises:
            InputError: the endpoint refuses the request, or answers with something other than a reply.
            EndpointError: it cannot be reached, or stays overloaded, after all retries.
        """
        body = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens, "temperature": 0}
        data = json.dumps(body).encode()
        for attempt in range(self._retries + 1):
            wait = min(2.0**attempt, _LONGEST_WAIT)
            try:
                return self._reply(self._post(data), messages, max_tokens)
            except urllib.error.HTTPError as error:
                said = _read(error)
                if error.code not in _PASSING:
                    raise self._refused(error.code, said) from None
                problem = f"answers {error.code}{self._reason(said)}"
                wait = min(_asked_for(error.headers, wait), _LONGEST_WAIT)
            except TimeoutError:
                problem = f"does not answer within {self._timeout:g} s"
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                late = isinstance(reason, TimeoutError)
                problem = f"does not answer within {self._timeout:g} s" if late else f"cannot be reached ({reason})"
            if attempt < self._retries:
                time.sleep(wait)
        raise EndpointError(
            f"{problem}, tried {self._retries + 1} times.",
            where=self.url,
            mend="Look whether the server runs; the same command goes on with what is answered.",
        )

    def _post(self, data: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "pinpoint"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self.url + _PATH, data, headers, method="POST")
        with self._open(request, timeout=self._timeout) as answer:
            read: bytes = answer.read(_LARGEST_ANSWER)
        return read

    def _reply(self, data: bytes, messages: Sequence[Mapping[str, str]], max_tokens: int) -> Reply:
        try:
            answer = json.loads(data)
            choice = answer["choices"][0]
            message = choice["message"]
            content = message["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            page = data.lstrip()[:1] == b"<"
            raise InputError(
                "answers with a web page instead of JSON." if page else f"answers with no reply{self._reason(data)}.",
                where=self.url,
                mend="Is this the base of an OpenAI-compatible API? It often ends in /v1.",
            ) from None
        if content is None:  # nothing but a refusal, or thoughts that took all tokens
            content = message.get("refusal") or ""
        if not isinstance(content, str):
            raise InputError(
                f"answers with {type(content).__name__} instead of text.",
                where=self.url,
                mend="Give a model that replies in text.",
            )
        over = max(_counted(answer, "completion_tokens"), len(content.split())) > max_tokens
        read, words = _read_of(answer), sum(len(message["content"].split()) for message in messages)
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        thought_text = thought if isinstance(thought, str) else ""
        return Reply(
            _whole(content), choice.get("finish_reason") == "length", over, _whole(thought_text), 0 < read < words
        )

    def _refused(self, code: int, said: bytes) -> InputError:
        key = f"Set {self._variable} to a key that it takes."
        if self._variable is None:
            key = f"Name the variable that holds its key with --key-variable: {_USUAL_KEY} is not sent to any server."
        mend = {
            401: key,
            403: key,
            404: "Look at the URL, which often ends in /v1, and at the model's name.",
        }.get(code, "")
        if 300 <= code < 400:
            mend = "It redirects elsewhere: give the URL that it redirects to."
        return InputError(f"refuses the request with {code}{self._reason(said)}.", where=self.url, mend=mend)

    def _reason(self, said: bytes) -> str:
        """What an answer says is wrong, for a message; never the key."""
        text = said.decode("utf-8", "replace")
        try:
            found = json.loads(text)
            error = found.get("error", found.get("detail", found))
            text = str(error.get("message", error) if isinstance(error, dict) else error)
        except (ValueError, AttributeError, RecursionError):
            if text.lstrip()[:1] == "<":
                return " and a web page"
        if self._key:
            text = text.replace(self._key, "***")
        line = first_line(text)[:200].rstrip(". ")
        return f" ({line})" if line else ""


def _counted(answer: Mapping[str, Any], *keys: str) -> int:
    """Tokens, as the server counts them under some keys of its usage; 0 where it does not."""
    found: Any = answer.get("usage")
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, int) else 0


def _read_of(answer: Mapping[str, Any]) -> int:
    """Tokens of the dialogue; 0 where the server does not count them."""
    read = _counted(answer, "prompt_tokens")
    # Some leave out what they still had of an earlier dialogue, and tell of it here.
    return read and read + _counted(answer, "prompt_tokens_details", "cached_tokens")


def _read(error: urllib.error.HTTPError) -> bytes:
    """What came with a refusal; nothing where the connection breaks off or stalls over it."""
    try:
        with error:
            return error.read(_LARGEST_ANSWER)
    except (OSError, http.client.HTTPException):
        return b""


def _asked_for(headers: Headers, otherwise: float) -> float:
    """Seconds that Retry-After asks to wait: a number, or a date."""
    text = headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return otherwise
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
