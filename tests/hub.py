"""A stand-in for the Hub's API on this machine: the calls that making a repository and committing to it take."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "Ab3dEf6hIj" * 3 + "wxyz"
SMALL = 10_000


@dataclass
class Repo:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class Hub:
    """What the server holds, and what it was asked.

    Attributes:
        endpoint: its address.
        user: who the token belongs to.
        asked: method and path of every request, in order.
        tokens: the bearer tokens that came along.
        refuse: status to answer with, by the beginning of "METHOD /path".
    """

    endpoint: str = ""
    user: str = "me"
    repos: dict[str, Repo] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    refuse: dict[str, int] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, value: Any, **headers: str) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)

    def _serve(self) -> None:
        body, path = self._body(), self.path.split("?")[0]
        asked = f"{self.command} {path}"
        self.server.hub.asked.append(asked)
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if bearer:
            self.server.hub.tokens.add(bearer)
        for beginning, status in self.server.hub.refuse.items():
            if asked.startswith(beginning):
                self._answer(status, {"error": f"refused, with {bearer}"})
                return
        # The storage behind signed addresses gets no token.
        if not path.startswith("/storage/") and bearer != TOKEN:
            self._answer(401, {"error": "Invalid user token"}, X_Error_Message="Invalid user token")
            return
        if asked == "GET /api/whoami-v2":
            self._answer(200, {"name": self.server.hub.user, "type": "user"})
        elif asked == "POST /api/repos/create":
            self._create(json.loads(body))
        elif asked == "POST /api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif path.startswith("/storage/"):
            self.server.hub.stored[path.rpartition("/")[2]] = body
            self._answer(200, {})
        else:
            self._repository(path, body)

    do_GET = do_POST = do_PUT = _serve

    def _create(self, asked: dict[str, Any]) -> None:
        owner = asked.get("organization") or self.server.hub.user
        name = f"{owner}/{asked['name']}"
        if owner != self.server.hub.user:
            self._answer(403, {"error": "You don't have the rights to create a model under this namespace"})
        elif name in self.server.hub.repos:
            self._answer(409, {"error": "You already created this model repo"})
        else:
            self.server.hub.repos[name] = Repo(private=asked.get("visibility") == "private")
            self._answer(200, {"url": f"{self.server.hub.endpoint}/{name}", "name": name})

    def _repository(self, path: str, body: bytes) -> None:
        owner, name, *rest = path.removeprefix("/api/models").strip("/").split("/")
        name = f"{owner}/{name.removesuffix('.git')}"
        repo = self.server.hub.repos.get(name)
        if repo is None:
            self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        elif not rest or rest[0] == "revision":
            files = [{"rfilename": file} for file in repo.files]
            self._answer(200, {"id": name, "private": repo.private, "sha": "0" * 40, "siblings": files})
        elif rest[0] == "tree":
            files = [{"type": "file", "path": f, "size": len(d), "oid": "0" * 40} for f, d in repo.files.items()]
            self._answer(200, files)
        elif rest[0] == "preupload":
            self._answer(200, {"files": [_mode(file) for file in json.loads(body)["files"]]})
        elif rest == ["info", "lfs", "objects", "batch"]:
            self._answer(200, {"transfer": "basic", "objects": [self._upload(o) for o in json.loads(body)["objects"]]})
        elif rest[0] == "commit":
            self._commit(repo, name, body)
        else:
            self._answer(404, {"error": "no such thing"})

    def _upload(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] in self.server.hub.stored:
            return known
        return known | {"actions": {"upload": {"href": f"{self.server.hub.endpoint}/storage/{asked['oid']}"}}}

    def _commit(self, repo: Repo, name: str, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                data = self.server.hub.stored[value["oid"]]
                assert hashlib.sha256(data).hexdigest() == value["oid"] and len(data) == value["size"]
                repo.files[value["path"]] = data
            elif entry["key"] == "deletedFile":
                del repo.files[value["path"]]
            else:
                repo.commits.append(value["summary"])
        oid = f"{len(repo.commits):040d}"
        self._answer(
            200, {"commitUrl": f"{self.server.hub.endpoint}/{name}/commit/{oid}", "commitOid": oid, "success": True}
        )


def _mode(file: dict[str, Any]) -> dict[str, Any]:
    mode = "lfs" if file["size"] > SMALL else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}


@contextmanager
def standing_in() -> Iterator[Hub]:
    """Serves on a free port of this machine for the length of the block."""
    hub = Hub()
    server = _Server(hub)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
