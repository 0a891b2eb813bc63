"""The client of OpenAI-compatible endpoints: what it sends, what it tries again, and what it says when it cannot."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event, Thread

import pytest
from pydantic import ValidationError

from pinpoint import endpoint
from pinpoint.config import JudgeConfig
from pinpoint.endpoint import Endpoint, Reply
from pinpoint.errors import EndpointError, InputError
from tests.endpoint import Answer, Asked, completion, serving

TALK = [{"role": "user", "content": "What is the capital of Peru?"}]
KEY = "sk-secret-0123"


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    waits: list[float] = []
    monkeypatch.setattr(endpoint.time, "sleep", waits.append)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield waits


def test_it_asks_for_the_most_likely_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(lambda _: Answer(completion("Lima."))) as (url, asked):
        assert Endpoint(f"{url}/", "m").chat(TALK, 7).text == "Lima."
        assert Endpoint(f"{url}/chat/completions", "m").chat(TALK, 7).text == "Lima."
    assert [one.path for one in asked] == ["/v1/chat/completions"] * 2
    assert asked[0].body == {"model": "m", "messages": TALK, "max_tokens": 7, "temperature": 0}
    assert asked[0].headers["Authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent() -> None:
    with serving(lambda _: Answer(completion("Lima."))) as (url, asked):
        Endpoint(url, "m").chat(TALK, 7)
    assert "Authorization" not in asked[0].headers


def test_what_passes_is_tried_again(slept: list[float]) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    answers = [
        Answer({"error": {"message": "slow down"}}, 429, (("Retry-After", "7"),)),
        Answer(b"<html>bad gateway</html>", 502),
        Answer(b"", 503, (("Retry-After", at),)),
        Answer(b"", 503, (("Retry-After", "99999"),)),
        Answer(b"", 500, (("Retry-After", "soon"),)),
        Answer(completion("Lima.")),
    ]
    with serving(lambda _: answers.pop(0)) as (url, asked):
        assert Endpoint(url, "m").chat(TALK, 7).text == "Lima."
    assert len(asked) == 6
    assert slept[:2] == [7, 2] and 25 < slept[2] <= 30 and slept[3:] == [120, 16]


def test_a_server_that_stays_overloaded_or_silent_or_is_not_there(slept: list[float]) -> None:
    with serving(lambda _: Answer({"error": "busy"}, 503)) as (url, asked):
        with pytest.raises(EndpointError, match=r"v1: answers 503 \(busy\), tried 3 times\. .*goes on"):
            Endpoint(url, "m", retries=2).chat(TALK, 7)
        assert (len(asked), slept) == (3, [1, 2])
    with pytest.raises(EndpointError, match="cannot be reached"):
        Endpoint(url, "m", retries=0).chat(TALK, 7)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EndpointError, match=r"does not answer within 0\.2 s, tried 1 times"):
            Endpoint(where, "m", timeout=0.2, retries=0).chat(TALK, 7)


@pytest.mark.parametrize(
    "answer, message",
    [
        (Answer(b"  <!doctype html><html>hi</html>"), "answers with a web page instead of JSON. .*ends in /v1"),
        (Answer(b"hello"), r"answers with no reply \(hello\)"),
        (Answer(b""), "answers with no reply\\. "),
        (Answer(b"[" * 100_000), "answers with no reply"),
        (Answer([]), "answers with no reply"),
        (Answer({"choices": []}), "answers with no reply"),
        (Answer({"error": {"message": "no such model"}}), r"answers with no reply \(no such model\)"),
        (Answer(completion(["a"])), "answers with list instead of text"),
        (Answer({"error": {"message": f"bad key {KEY}"}}, 401), r"refuses the request with 401 \(bad key \*\*\*\)"),
        (Answer({"detail": "Not Found"}, 404), r"404 \(Not Found\)\. Look at the URL"),
        (Answer(b"<html>no</html>", 400), "refuses the request with 400 and a web page"),
        (Answer(b"", 302, (("Location", "http://127.0.0.1:9/"),)), "302.*redirects"),
    ],
)
def test_what_is_no_reply_is_one_clear_error_at_once(
    answer: Answer, message: str, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(lambda _: answer) as (url, asked):
        with pytest.raises(InputError, match=message) as caught:
            Endpoint(url, "m").chat(TALK, 7)
        assert len(asked) == 1 and slept == []
    assert KEY not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "usage, text, over",
    [
        (None, "one two", False),
        ({"completion_tokens": 7}, "one two", False),
        ({"completion_tokens": 8}, "one two", True),
        ({"completion_tokens": -3}, "one two", False),
        ({"completion_tokens": 2}, "one two three four five six seven eight", True),
        ({"completion_tokens": "eight"}, "one two", False),
        ({"completion_tokens": None}, "one two", False),
        ({}, "one two", False),
        ([], "one two", False),
        ("much", "one two", False),
    ],
)
def test_a_server_that_lies_about_usage_or_passes_over_the_limit_is_seen_through(
    usage: object, text: str, over: bool
) -> None:
    with serving(lambda _: Answer(completion(text) | {"usage": usage})) as (url, _):
        assert Endpoint(url, "m").chat(TALK, 7) == Reply(text, cut=False, over=over)


@pytest.mark.parametrize(
    "usage, short",
    [
        ({"prompt_tokens": 5}, True),
        ({"prompt_tokens": 6}, False),
        ({"prompt_tokens": 2048}, False),
        ({"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 9}}, False),
        ({"prompt_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}}, True),
        ({"prompt_tokens": 2, "prompt_tokens_details": None}, True),
        ({"prompt_tokens": 0}, False),
        ({"prompt_tokens": None}, False),
        ({"prompt_tokens": "two"}, False),
        ([], False),
    ],
)
def test_a_server_that_counts_less_than_the_words_of_a_dialogue_did_not_read_it_whole(
    usage: object, short: bool
) -> None:
    with serving(lambda _: Answer(completion("Lima.") | {"usage": usage})) as (url, _):
        assert Endpoint(url, "m").chat(TALK, 7) == Reply("Lima.", cut=False, short=short)


def test_a_reply_that_is_cut_within_a_character_can_be_kept() -> None:
    with serving(lambda _: Answer(completion("Fine \ud83d"))) as (url, _):
        assert Endpoint(url, "m").chat(TALK, 7).text == "Fine \ufffd"
    with serving(lambda _: Answer(completion("Fine \U0001f600"))) as (url, _):
        assert Endpoint(url, "m").chat(TALK, 7).text == "Fine \U0001f600"


def test_a_refusal_is_a_reply_and_so_is_nothing() -> None:
    def answer(asked: Asked) -> Answer:
        found = completion(None)
        if asked.body["max_tokens"] == 1:
            found["choices"][0]["message"]["refusal"] = "I cannot."
        return Answer(found)

    with serving(answer) as (url, _):
        assert Endpoint(url, "m").chat(TALK, 1).text == "I cannot."
        assert Endpoint(url, "m").chat(TALK, 2).text == ""


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host/v1", "http://", "http://h:x/v1", "http://u:p@h/v1"]
    + ["http://localhost:1/vä", "http://.localhost./v1", "http://loc alhost:1/v1"],
)
def test_what_is_no_url_is_refused_alike_for_models_and_judges(url: str) -> None:
    told = "holds credentials" if "@" in url else "is not the URL of an endpoint"
    with pytest.raises(InputError, match=told) as caught:
        Endpoint(url, "m")
    assert "u:p" not in str(caught.value)
    with pytest.raises(ValidationError, match=told):
        JudgeConfig(kind="model", model="m", endpoint=url)


@pytest.mark.parametrize(
    "url, sent",
    [
        ("https://api.openai.com/v1", True),
        ("http://api.openai.com/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://models.example/v1", False),
        ("http://localhost:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://127.0.0.2/v1", True),
        ("http://192.168.0.7/v1", False),
    ],
)
def test_the_usual_key_goes_to_its_own_server_and_to_this_machine_alone(
    url: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert bool(Endpoint(url, "m")._key) is sent
    assert Endpoint(url, "m", "OPENAI_API_KEY")._key == KEY, "named, it goes anywhere"
    if not sent:
        mend = Endpoint(url, "m")._refused(401, b"").mend
        assert "--key-variable" in mend


def test_a_server_that_breaks_off_over_its_refusal_is_asked_again(slept: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse_and_break_off() -> None:
            for said in (b"Content-Length: 99", b"Transfer-Encoding: chunked"):
                with server.accept()[0] as one:
                    one.recv(1 << 16)
                    one.sendall(b"HTTP/1.1 503 Busy\r\n" + said + b"\r\n\r\n5")

        thread = Thread(target=refuse_and_break_off)
        thread.start()
        where = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(EndpointError, match=r"answers 503, tried 2 times|answers 503 \(5\), tried 2 times"):
            Endpoint(where, "m", timeout=5, retries=1).chat(TALK, 7)
        thread.join()


def test_a_stalled_refusal_is_no_traceback(slept: list[float]) -> None:
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def stall() -> None:
            with server.accept()[0] as one:
                one.recv(1 << 16)
                one.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\n")
                over.wait(30)

        thread = Thread(target=stall)
        thread.start()
        with pytest.raises(InputError, match="refuses the request with 400"):
            Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}", "m", timeout=0.3, retries=0).chat(TALK, 7)
        over.set()
        thread.join()


def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "se\ncret")
    with pytest.raises(InputError, match="MY_KEY: holds characters") as caught:
        Endpoint("http://h/v1", "m", key_variable="MY_KEY")
    assert "cret" not in str(caught.value)
