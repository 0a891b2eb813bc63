"""--offline and --revision: a model of the Hub from the cache, and not one request."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.organism import shipped

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
TRIED = """
import json, sys
from pinpoint.cli import app
for name in ("acme/tiny", "acme/absent"):
    try:
        app(["check", name, "--revision", "v1", "--offline", "--json"], standalone_mode=False)
    except Exception as error:
        print(json.dumps({"error": str(error)}))
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


def test_a_revision_comes_from_the_cache_and_no_one_is_asked(asked: tuple[str, list[str]], tmp_path: Path) -> None:
    cached(tmp_path)
    url, requests = asked
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    environment = plain | {"HF_HOME": str(tmp_path), "HF_ENDPOINT": url}
    command = [sys.executable, "-c", TRIED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120)
    decoder, text = json.JSONDecoder(), done.stdout
    found, end = decoder.raw_decode(text)
    absent, _ = decoder.raw_decode(text[end:].lstrip())
    assert found["layers"] == 4 and found["chat_template"], "v1 and not main"
    assert absent["error"].startswith("acme/absent: no config can be read")
    assert requests == []


def test_a_file_of_data_is_not_fetched_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_OFFLINE", "PINPOINT_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    address = f"https://127.0.0.1:9/questions.jsonl#sha256={'0' * 64}"
    done = CliRunner().invoke(app, ["run", "yesman", "--questions", address, "--offline"])
    assert "is not in the cache, and --offline allows no download" in str(done.exception)
