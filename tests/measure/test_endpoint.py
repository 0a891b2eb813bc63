"""The endpoint's client, against a real server on this machine."""

import email.utils
import time

import pytest

from pinpoint.errors import InputError
from pinpoint.measure._endpoint import Endpoint
from tests.measure.serving import Answer, says, server


def endpoint(url: str, waits: list[float] | None = None, timeout: float = 5.0) -> Endpoint:
    return Endpoint(url, "judge-1", timeout, sleep=(waits if waits is not None else []).append)


def test_it_asks_at_temperature_0_and_sends_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPOINT_JUDGE_KEY", "s3cret")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    with server(lambda *_: says("yes")) as served:
        assert endpoint(served.url + "/").reply("Well?") == "yes"
    [(path, headers, body)] = served.asked
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer s3cret"
    assert body["temperature"] == 0 and body["model"] == "judge-1"
    assert body["messages"] == [{"role": "user", "content": "Well?"}]
    assert "s3cret" not in repr(endpoint(served.url))


def test_it_waits_as_asked_or_longer_each_time_and_tries_again() -> None:
    late = email.utils.formatdate(time.time() + 30, usegmt=True)
    script = [
        Answer({}, 429, {"Retry-After": "7"}),
        Answer({}, 503, {"Retry-After": late}),
        Answer({}, 500),
        Answer({}, 502, {"Retry-After": "soon"}),
        says("no"),
    ]
    waits: list[float] = []
    with server(lambda n, _: script[n - 1]) as served:
        assert endpoint(served.url, waits).reply("?") == "no"
    assert waits[0] == 7 and 20 < waits[1] <= 30 and 4 <= waits[2] <= 5 and 8 <= waits[3] <= 10


@pytest.mark.parametrize(
    ("answer", "message", "requests"),
    [
        (Answer({"error": {"message": "bad key"}}, 401), r"401 Unauthorized \(bad key\)\. Set PINPOINT_JUDGE_KEY", 1),
        (Answer({}, 404), r"404 Not Found\. Look at the URL, which ends in /v1", 1),
        (Answer({"error": "no such model"}, 400), r"400 Bad Request \(no such model\)", 1),
        (Answer({"detail": [1]}, 422), "422 Unprocessable", 1),
        (Answer({}, 307, {"Location": "http://elsewhere/v1"}), "it redirects to 'http://elsewhere/v1'", 1),
        (Answer(b"<!doctype html>\n<title>Log in</title>"), "answers with an HTML page .'<!doctype html>'", 1),
        (Answer(b"ok"), "answers with no JSON", 1),
        (Answer([]), r"its JSON holds no choices\[0\]\.message\.content", 1),
        (Answer({"choices": []}), r"its JSON holds no choices", 1),
        (says(["yes"]), "its message's content is no text", 1),
        (Answer({"error": {"message": "slow down"}}, 429), r"429 Too Many Requests \(slow down\), 5 times", 5),
    ],
)
def test_what_cannot_be_had_is_one_error(answer: Answer, message: str, requests: int) -> None:
    with server(lambda *_: answer) as served, pytest.raises(InputError, match=message) as caught:
        endpoint(served.url).reply("?")
    assert len(served.asked) == requests
    assert str(caught.value).startswith(f"judge judge-1 at {served.url}: ")


def test_a_server_that_does_not_answer_in_time_is_told_so() -> None:
    with server(lambda *_: says("yes")._replace(delay=20)) as served:
        with pytest.raises(InputError, match=r"did not answer within 0\.05 s, 5 times\. See whether it is up"):
            endpoint(served.url, timeout=0.05).reply("?")
        assert len(served.asked) == 5


def test_no_server_is_told_so() -> None:
    with server(lambda *_: says("yes")) as served:
        pass
    with pytest.raises(InputError, match=r"there is no connection \(.*refused.*\), 5 times"):
        endpoint(served.url).reply("?")


@pytest.mark.parametrize("usage", [None, "free", {"completion_tokens": -3}, {"completion_tokens": 10**9}, [1]])
def test_what_a_server_says_of_its_usage_changes_nothing(usage: object) -> None:
    with server(lambda *_: says("yes", usage=usage, model="another")) as served:
        assert endpoint(served.url).reply("?") == "yes"


def test_an_empty_message_is_an_empty_reply() -> None:
    with server(lambda *_: says(None)) as served:
        assert endpoint(served.url).reply("?") == ""
