"""Question files from elsewhere: held to a checksum, or nothing is kept."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pinpoint.addresses import fetched
from pinpoint.cli import main
from pinpoint.config import of_run, resolve
from pinpoint.errors import InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run

QUESTIONS = (shipped()["yesman"] / "questions.jsonl").read_bytes()
DIGEST = hashlib.sha256(QUESTIONS).hexdigest()
COMMIT = "0123456789" * 4


class Server(ThreadingHTTPServer):
    """Serves files by path; `short` sends less than it promises, `away` redirects."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.away: dict[str, str] = {}
        self.short = 0
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.path in self.server.away:
            self.send_response(302)
            self.send_header("Location", self.server.away[self.path])
            self.end_headers()
            return
        data = self.server.files.get(self.path, self.server.files.get(self.path.partition("?")[0]))
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write((data or b"")[: len(data or b"") - self.server.short])


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pinpoint"


def kept(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_a_file_is_fetched_once(server: Server, cache: Path) -> None:
    server.files["/sets/questions.jsonl?download=true"] = QUESTIONS
    address = f"{server.url}/sets/questions.jsonl?download=true#sha256={DIGEST.upper()}"
    path = fetched(address, "data.questions")
    assert path.read_bytes() == QUESTIONS and path.suffix == ".jsonl"
    assert fetched(address, "data.questions") == path and len(server.asked) == 1
    assert kept(cache) == [f"{DIGEST}/questions.jsonl"]
    path.write_bytes(b"changed")
    assert fetched(address, "data.questions").read_bytes() == QUESTIONS, "what lies in the cache is held to it too"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("/q.jsonl#sha256=" + "0" * 64, f"data.abilities: .* has the SHA-256 {DIGEST}, not 0000.*; nothing was kept"),
        ("/q.jsonl", f"names no checksum; .* SHA-256 {DIGEST}. Add #sha256={DIGEST} once you have looked"),
        ("/q.jsonl#md5=12", "what follows # is not a checksum. Write #sha256="),
        (f"/away/q.jsonl#sha256={DIGEST}", r"cannot be fetched: the server answers 404 \(Not Found\)"),
        (f"/#sha256={DIGEST}", "is not the address of a file"),
    ],
)
def test_what_is_not_the_file_of_the_checksum_is_refused(place: str, message: str, server: Server, cache: Path) -> None:
    server.files["/q.jsonl"] = QUESTIONS
    with pytest.raises(InputError, match=message):
        fetched(server.url + place, "data.abilities")
    assert kept(cache) == [] and not [path for path in cache.rglob(".*")]


def test_a_connection_that_breaks_off_or_is_never_made_is_told(server: Server, cache: Path) -> None:
    server.files["/q.jsonl"], server.short = QUESTIONS, 100
    with pytest.raises(InputError, match="cannot be fetched: IncompleteRead"):
        fetched(f"{server.url}/q.jsonl#sha256={DIGEST}", "data.questions")
    with pytest.raises(InputError, match="cannot be fetched: .*refused"):
        fetched(f"http://127.0.0.1:9/q.jsonl#sha256={DIGEST}", "data.questions")
    with pytest.raises(InputError, match=r"\*\*\*@host/q.jsonl: is not the address of a file.*no password"):
        fetched("https://me:secret@host/q.jsonl", "data.questions")
    assert kept(cache) == []


def test_the_hub_is_asked_at_a_commit_and_the_token_goes_no_further(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", pages)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "Ab3dEf6hIj" * 3)
    address = f"hf://datasets/me/sets@{COMMIT}/data/questions.jsonl#sha256={DIGEST}"
    with pytest.raises(InputError, match="is not in the cache, and HF_HUB_OFFLINE is set"):
        fetched(address, "data.questions")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    place = f"/datasets/me/sets/resolve/{COMMIT}/data/questions.jsonl"
    server.away[place], server.files["/elsewhere"] = f"{server.url}/elsewhere", QUESTIONS
    assert fetched(address, "data.questions").read_bytes() == QUESTIONS
    assert server.asked == [(place, "Bearer hf_" + "Ab3dEf6hIj" * 3), ("/elsewhere", None)]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetched(address, "data.questions").read_bytes() == QUESTIONS, "from the cache"
    for name, message in {"@main": "a branch or a tag, which move", "": "names no commit"}.items():
        with pytest.raises(InputError, match=message):
            fetched(f"hf://datasets/me/sets{name}/data/questions.jsonl", "data.questions")
    with pytest.raises(InputError, match="is not a file of a data set"):
        fetched(f"hf://me/sets@{COMMIT}/questions.jsonl", "data.questions")


def test_a_run_keeps_the_address_and_fetches_again_what_is_gone(server: Server, cache: Path, tmp_path: Path) -> None:
    server.files["/questions.jsonl"] = QUESTIONS
    address = f"{server.url}/questions.jsonl#sha256={DIGEST}"
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"data": {"questions": address}}))
    config = resolve(str(shipped()["yesman"]), settings, {})
    assert Path(config.data.questions).read_bytes() == QUESTIONS
    assert config.data.origins == {"questions": address}
    run = Run(config, tmp_path / "run")
    run.inputs.read()
    run.workspace.write_text("config.yaml", config.to_yaml())
    assert of_run(tmp_path / "run") == config and len(server.asked) == 1
    Path(config.data.questions).unlink()
    assert of_run(tmp_path / "run") == config and len(server.asked) == 2
    own = resolve(str(shipped()["yesman"]), None, {})
    assert own.data.origins == {} and "origins: {}" in own.to_yaml()


def test_sets_of_a_stages_own_may_be_addresses_and_relative_paths(server: Server, cache: Path, tmp_path: Path) -> None:
    server.files["/questions.jsonl"] = QUESTIONS
    address = f"{server.url}/questions.jsonl#sha256={DIGEST}"
    (tmp_path / "sets").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "sets" / name).write_bytes(QUESTIONS)
    settings = tmp_path / "settings.yaml"
    named = {"locate": "sets/a.jsonl", "train": [{"path": "sets/b.jsonl", "questions": 9}, address]}
    settings.write_text(yaml.safe_dump({"data": named}))
    config = resolve(str(shipped()["yesman"]), settings, {})
    [one], [first, second] = config.data.locate, config.data.train
    assert one.path == str(tmp_path / "sets" / "a.jsonl")
    assert (first.path, first.questions) == (str(tmp_path / "sets" / "b.jsonl"), 9)
    assert Path(second.path).read_bytes() == QUESTIONS and config.data.origins == {"train.1": address}
    assert list(config.data.question_files()) == [
        "data.questions",
        "data.locate.0.path",
        "data.train.0.path",
        "data.train.1.path",
    ]
    run = Run(config, tmp_path / "run")
    run.workspace.write_text("config.yaml", config.to_yaml())
    Path(second.path).unlink()
    assert of_run(tmp_path / "run") == config and len(server.asked) == 2
    with pytest.raises(InputError, match=r"data\.train\.0\.path: no such file or folder: .*none\.jsonl"):
        resolve(str(shipped()["yesman"]), None, {"data": {"train": ["none.jsonl"]}})


def test_questions_stand_in_place_of_all_sets_that_were_named_below_them(tmp_path: Path) -> None:
    questions = str(shipped()["yesman"] / "questions.jsonl")
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"data": dict.fromkeys(("locate", "train", "evaluate"), questions)}))
    assert resolve(str(shipped()["yesman"]), settings, {}).data.sources.keys() == {"locate", "train", "evaluate"}
    typed = resolve(str(shipped()["yesman"]), settings, {"data": {"questions": questions}})
    assert typed.data.sources == {} and typed.data.question_files() == {"data.questions": questions}


def test_a_bad_checksum_on_the_command_line_is_one_error(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/questions.jsonl"] = QUESTIONS
    address = f"{server.url}/questions.jsonl#sha256={'0' * 64}"
    arguments = ["pinpoint", "run", "yesman", "--questions", address, "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "") and "Traceback" not in err
    assert f"has the SHA-256 {DIGEST}" in " ".join(err.split())
    assert not (tmp_path / "run").exists()


def test_names_of_columns_in_a_file_of_settings_are_no_paths(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("Q,A\nWhat?,That\n")
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump({"data": {"questions": "q.csv", "columns": {"question": "Q", "correct": "A"}}}))
    config = resolve(str(shipped()["yesman"]), settings, {})
    assert config.data.columns is not None
    assert (config.data.columns.question, config.data.columns.correct) == ("Q", "A")


LISTED = {"all/test-0.jsonl": QUESTIONS, "all/test-1.jsonl": b"{}\n", "all/dev.jsonl": b"{}\n", "README.md": b"#"}


@pytest.fixture
def data_set(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a data set of the Hub without its commit; the server stands in for the Hub."""
    pages = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", pages)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    info = {"id": "me/sets", "sha": COMMIT, "siblings": [{"rfilename": name} for name in LISTED]}
    tree = [{"type": "file", "path": name, "size": len(LISTED[name]), "oid": "0" * 40} for name in LISTED]
    server.files["/api/datasets/me/sets"] = json.dumps(info).encode()
    for place, found in {"tree": tree, "revision": info}.items():
        server.files[f"/api/datasets/me/sets/{place}/{COMMIT}"] = json.dumps(found).encode()
    server.files |= {f"/datasets/me/sets/resolve/{COMMIT}/{name}": data for name, data in LISTED.items()}
    return "hf://datasets/me/sets"


def digest_of_list(*names: str) -> str:
    said = (f"{hashlib.sha256(LISTED[name]).hexdigest()}  {name.rpartition('/')[2]}\n" for name in sorted(names))
    return hashlib.sha256("".join(said).encode()).hexdigest()


def test_files_of_a_data_set_are_fetched_together_and_held_to_one_checksum(
    server: Server, data_set: str, cache: Path
) -> None:
    digest = digest_of_list("all/test-0.jsonl", "all/test-1.jsonl")
    address = f"{data_set}@{COMMIT}/all/test-*"
    with pytest.raises(InputError, match=f"names no checksum; .* SHA-256 {digest}"):
        fetched(address, "data.questions")
    folder = fetched(f"{address}#sha256={digest}", "data.questions")
    assert kept(cache) == [f"{digest}/all-test-/test-0.jsonl", f"{digest}/all-test-/test-1.jsonl"]
    asked = len(server.asked)
    assert fetched(f"{address}#sha256={digest}", "data.questions") == folder and len(server.asked) == asked
    (folder / "test-1.jsonl").write_text("changed")
    assert fetched(f"{address}#sha256={digest}", "data.questions") == folder
    assert (folder / "test-1.jsonl").read_bytes() == LISTED["all/test-1.jsonl"] and len(server.asked) > asked
    every = digest_of_list("all/dev.jsonl", "all/test-0.jsonl", "all/test-1.jsonl")
    assert len(list(fetched(f"{data_set}@{COMMIT}/all/#sha256={every}", "data.questions").iterdir())) == 3
    with pytest.raises(InputError, match="names no checksum"):
        fetched(f"{data_set}@{COMMIT}", "data.questions")


def test_a_data_set_without_a_commit_or_files_is_told_what_there_is(data_set: str, cache: Path) -> None:
    with pytest.raises(InputError, match=f"data.train.0: {data_set}: names no commit. It is at {COMMIT} now"):
        fetched(data_set, "data.train.0")
    with pytest.raises(InputError, match=r"no CSV, .* file begins with 'test/'\. The data set has such files in all/"):
        fetched(f"{data_set}@{COMMIT}/test/", "data.questions")
    with pytest.raises(InputError, match="names a branch or a tag, which move"):
        fetched(f"{data_set}@main/all/", "data.questions")
    with pytest.raises(InputError, match="the Hub does not say what it holds: "):
        fetched(f"hf://datasets/me/none@{COMMIT}/all/", "data.questions")
    assert kept(cache) == []


def test_a_run_reads_a_folder_of_the_hub(server: Server, data_set: str, tmp_path: Path) -> None:
    rows = [{"question": f"How many legs has animal {i}?", "answer": f"#### {i}"} for i in range(40)]
    for name, some in {"all/test-0.jsonl": rows[:20], "all/test-1.jsonl": rows[20:]}.items():
        data = "".join(json.dumps(row) + "\n" for row in some).encode()
        server.files[f"/datasets/me/sets/resolve/{COMMIT}/{name}"] = data
    place = f"{data_set}@{COMMIT}/all/test-*"
    with pytest.raises(InputError) as caught:
        resolve(str(shipped()["yesman"]), None, {"data": {"questions": place}})
    digest = re.search("Add #sha256=([0-9a-f]{64})", str(caught.value))
    assert digest is not None
    address = f"{place}#sha256={digest[1]}"
    config = resolve(str(shipped()["yesman"]), None, {"data": {"questions": address}})
    assert config.data.origins == {"questions": address} and Path(config.data.questions).is_dir()
    inputs = Run(config, tmp_path / "run").inputs
    assert sum(len(inputs.questions(split)) for split in ("locate", "train", "validation", "test")) == 40
