"""--offline and --revision: a model of the Hub from the cache, and not one request; and a Hub that is not there."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.models import asking_hub
from pinpoint.organism import shipped

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
TRIED = """
import json, sys
from pinpoint.cli import app
for name in ("acme/tiny", "acme/absent"):
    try:
        app(["check", name, "--revision", "v1", *sys.argv[1:], "--json"], standalone_mode=False)
    except Exception as error:
        print(json.dumps({"error": str(error)}))
"""
LOADED = """
import warnings
import pinpoint
from pinpoint.config import parse_config
from pinpoint.errors import PinpointWarning
from pinpoint.models import load_tokenizer
from pinpoint.pipeline import inspect_model
warnings.simplefilter("always", PinpointWarning)
found = inspect_model("acme/tiny", parse_config({"model": "acme/tiny", "revision": "v1"}, "here"))
print(found.layers, found.chat_template)
for load in (pinpoint.load, load_tokenizer, inspect_model):
    try:
        load("acme/absent")
    except pinpoint.PinpointError as error:
        print(error)
from huggingface_hub import constants
print(constants.HF_HUB_OFFLINE)
"""


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A stand-in for the Hub that writes down what it is asked."""
    requests: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(503)

        do_HEAD = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    server.server_close()


def cached(home: Path) -> None:
    """The Hub's cache with two commits of a model; the older one has half of the layers."""
    folder = home / "hub" / "models--acme--tiny"
    for ref, commit in COMMITS.items():
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / ref).write_text(commit, encoding="utf-8")
        snapshot = folder / "snapshots" / commit
        shutil.copytree(shipped()["yesman"], snapshot, ignore=shutil.ignore_patterns("*.safetensors", "*.jsonl"))
    config = snapshot / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 4}), encoding="utf-8")


def ran(home: Path, endpoint: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A script in a process that reads the Hub's address and cache from its environment."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    environment = plain | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1"}
    command = (sys.executable, "-c", *command)
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120)


def inspected(printed: str) -> tuple[dict[str, Any], str]:
    decoder = json.JSONDecoder()
    found, end = decoder.raw_decode(printed)
    return found, decoder.raw_decode(printed[end:].lstrip())[0]["error"]


def test_a_revision_comes_from_the_cache_and_no_one_is_asked(asked: tuple[str, list[str]], tmp_path: Path) -> None:
    cached(tmp_path)
    url, requests = asked
    found, error = inspected(ran(tmp_path, url, TRIED, "--offline").stdout)
    assert found["layers"] == 4 and found["chat_template"], "v1 and not main"
    assert error == (
        "acme/absent: is no folder, was not fetched from the Hub before, and --offline or HF_HUB_OFFLINE asks no "
        "network. Leave that out, or give a folder of a model."
    )
    assert requests == []


@pytest.fixture
def nowhere() -> str:
    """An address where no server is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_where_no_hub_is_the_cache_is_used_and_what_is_not_there_told_at_once(nowhere: str, tmp_path: Path) -> None:
    cached(tmp_path)
    done = ran(tmp_path, nowhere, LOADED)
    tiny, *errors, offline = done.stdout.splitlines()
    assert tiny == "4 True", "v1, from the cache"
    assert errors == 3 * [
        f"acme/absent: is no folder, was not fetched from the Hub before, and {nowhere} cannot be reached. "
        "Connect this machine to the network, or give a folder of a model."
    ]
    assert offline == "False", "afterwards"
    assert done.stderr.count(f"PinpointWarning: {nowhere} cannot be reached: what was fetched before is used.") == 1
    assert "Retrying" not in done.stderr


def test_a_hub_that_answers_with_an_error_is_there(
    asked: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, requests = asked
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with warnings.catch_warnings(), asking_hub("acme/tiny"):
        warnings.simplefilter("error")
        assert not constants.HF_HUB_OFFLINE
    assert len(requests) == 1


def test_a_file_of_data_is_not_fetched_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_OFFLINE", "PINPOINT_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    address = f"https://127.0.0.1:9/questions.jsonl#sha256={'0' * 64}"
    done = CliRunner().invoke(app, ["run", "yesman", "--questions", address, "--offline"])
    assert "is not in the cache, and --offline allows no download" in str(done.exception)
