"""A server of chat completions on this machine, whose answers a test scripts."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Answer(NamedTuple):
    body: Any
    status: int = 200
    headers: dict[str, str] = {}
    delay: float = 0.0


class Served(NamedTuple):
    url: str
    asked: list[tuple[str, dict[str, str], Any]]


def says(text: Any, **more: Any) -> Answer:
    return Answer({"choices": [{"message": {"role": "assistant", "content": text}}], **more})


@contextmanager
def server(answer: Callable[[int, str], Answer]) -> Iterator[Served]:
    """Answers with what `answer` makes of the number of the request and the prompt."""
    asked: list[tuple[str, dict[str, str], Any]] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, dict(self.headers), body))
            found = answer(len(asked), body["messages"][0]["content"])
            over.wait(found.delay)
            data = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
            try:
                self.send_response(found.status)
                for name, value in {"Content-Length": str(len(data)), **found.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{http.server_port}/v1", asked)
    finally:
        over.set()
        http.shutdown()
        http.server_close()
