"""Pushing an export, with the Hub's own client, to a stand-in on this machine."""

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants

from pinpoint.artifacts import file_digest
from pinpoint.errors import ArtifactError, ConfigError, ExportRefused, InputError
from pinpoint.pipeline import Target, package_of, push, target
from tests.command import said
from tests.hub import TOKEN, Hub, standing_in

REPO = "me/tuned"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The stand-in; the client may talk (to it), and finds no token of whoever runs the tests."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Only the Hub's own storage speaks hf-xet; the stand-in takes large files by LFS.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    with standing_in() as served:
        yield served
    huggingface_hub.close_session()


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=TOKEN)


def export(folder: Path, *, ok: bool = True) -> Path:
    """An export as `pinpoint export` leaves it, with a large file and small ones."""
    for name in ("adapter", "merged"):
        (folder / name).mkdir(parents=True)
    contents = {
        "README.md": b"---\nlibrary_name: peft\n---\n# tuned\n",
        "adapter/adapter_config.json": b"{}",
        "adapter/adapter_model.safetensors": bytes(range(256)) * 200,
        "merged/model.safetensors": bytes(range(256)) * 400,
        "merged/config.json": b"{}",
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    files = {name: {"bytes": len(data), "sha256": file_digest(folder / name)} for name, data in contents.items()}
    check = {"name": "the export equals its adapter", "ok": ok, "detail": "logits differ by 3"}
    manifest = {"format": 1, "checks": [check], "run": {}, "files": files}
    (folder / "export.json").write_text(json.dumps(manifest))
    return folder


def test_a_new_repository_is_private_and_gets_every_file_in_one_commit(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    package = package_of(export(tmp_path / "export"))
    to = target(REPO, api, public=False)
    assert to == Target(REPO, exists=False, private=True)
    assert hub.repos == {}, "looking makes nothing"
    url = push(package, to, api)
    repo = hub.repos[REPO]
    assert repo.private and len(repo.commits) == 1 and url.startswith(f"{hub.endpoint}/{REPO}/commit/")
    assert {name: len(data) for name, data in repo.files.items()} == package.sizes
    assert all(data == (package.folder / name).read_bytes() for name, data in repo.files.items())
    assert len(hub.stored) == 2, "the large files went by LFS"
    assert f"POST /{REPO}.git/info/lfs/objects/batch" in hub.asked


def test_public_has_to_be_said(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    package = package_of(export(tmp_path / "export"))
    push(package, target(REPO, api, public=True), api)
    assert not hub.repos[REPO].private
    with pytest.raises(InputError, match="me/tuned: exists and is public. Give --public"):
        target(REPO, api, public=False)
    assert target(REPO, api, public=True) == Target(REPO, exists=True, private=False)


def test_a_second_push_removes_what_the_export_no_longer_has_and_keeps_the_rest(
    hub: Hub, api: HfApi, tmp_path: Path
) -> None:
    package = package_of(export(tmp_path / "export"))
    push(package, target(REPO, api, public=False), api)
    hub.repos[REPO].files |= {"merged/model-00001-of-00002.safetensors": b"old", "notes.txt": b"mine"}
    hub.asked.clear()
    push(package, target(REPO, api, public=False), api)
    assert hub.repos[REPO].files.keys() == package.sizes.keys() | {"notes.txt"}
    assert not [line for line in hub.asked if line.startswith(("PUT", "POST /api/repos/create"))]


def test_only_files_of_the_export_are_sent(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    folder = export(tmp_path / "export")
    (folder / ".env").write_text(f"HF_TOKEN={TOKEN}")
    (folder / "merged" / "mine.txt").write_text("x")
    push(package_of(folder), target(REPO, api, public=False), api)
    assert not {".env", "merged/mine.txt"} & hub.repos[REPO].files.keys()


def test_an_edited_card_goes_and_changed_weights_do_not(tmp_path: Path) -> None:
    folder = export(tmp_path / "export")
    (folder / "README.md").write_text("# better words, and longer\n" * 9)
    assert package_of(folder).sizes["README.md"] == 9 * 27
    (folder / "merged" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"merged/model.safetensors: is not what was checked"):
        package_of(folder)
    (folder / "merged" / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"merged/model.safetensors: is missing"):
        package_of(folder)


def test_an_export_whose_check_failed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="check 'the export equals its adapter' failed: logits differ by 3"):
        package_of(export(tmp_path / "export", ok=False))
    assert ExportRefused.exit_code == 2


def test_a_folder_that_holds_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no export: no export.json. Make one with `pinpoint export RUN`"):
        package_of(tmp_path)
    for text in ("{", "[]", '{"files": {}}'):
        (tmp_path / "export.json").write_text(text)
        with pytest.raises(ArtifactError, match="is not what `pinpoint export` wrote"):
            package_of(tmp_path)


def test_a_manifest_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = export(tmp_path / "export")
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((folder / "export.json").read_text())
    manifest["files"]["../secret"] = {"bytes": 1, "sha256": file_digest(tmp_path / "secret")}
    (folder / "export.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="'../secret' lies outside the export"):
        package_of(folder)


@pytest.mark.parametrize(
    ("beginning", "status", "message"),
    [
        ("GET /api/whoami-v2", 401, r"does not know the token \(HTTP 401"),
        ("POST /api/repos/create", 403, r"the token may not write there \(HTTP 403"),
        ("POST /api/models/me/tuned/preupload", 403, r"the token may not write there \(HTTP 403"),
        ("POST /api/models/me/tuned/commit", 500, r"the Hub refused \(HTTP 500"),
        ("PUT /storage/", 403, r"the upload broke off: Error while uploading"),
    ],
)
def test_a_refusal_is_one_message_without_the_token(
    hub: Hub, api: HfApi, tmp_path: Path, beginning: str, status: int, message: str
) -> None:
    package = package_of(export(tmp_path / "export"))
    hub.refuse[beginning] = status
    with pytest.raises(InputError, match=message) as caught:
        push(package, target(REPO, api, public=False), api)
    assert caught.value.exit_code == 2 and str(caught.value).startswith("me/tuned: ")
    assert TOKEN not in str(caught.value) and "\n" not in str(caught.value)


def test_a_namespace_of_others_is_refused(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    package = package_of(export(tmp_path / "export"))
    with pytest.raises(InputError, match=r"them/tuned: the token may not write there \(HTTP 403: You don't have the"):
        push(package, target("them/tuned", api, public=False), api)


def test_no_token_no_network_no_name(hub: Hub, api: HfApi, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="there is no Hub token. Log in with `hf auth login`, or set HF_TOKEN"):
        target(REPO, HfApi(endpoint=hub.endpoint), public=False)
    assert hub.asked == []
    with pytest.raises(InputError, match=r"me/tuned: the Hub cannot be reached"):
        target(REPO, HfApi(endpoint="http://127.0.0.1:1", token=TOKEN), public=False)
    for name in ("tuned", "a/b/c", "me/tu ned", ""):
        with pytest.raises(ConfigError, match="--to: "):
            target(name, api, public=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="offline mode is enabled"):
        target(REPO, api, public=False)


def test_the_command_shows_what_goes_and_never_the_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(tmp_path / "export")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    code, out, err = said(["push", str(folder), "--to", REPO], monkeypatch, capsys)
    assert code == 2 and "6 files would go to me/tuned, private, new, and there is nobody to ask. Say --yes." in err
    assert hub.repos == {}
    code, out, err = said(["push", str(folder), "--to", REPO, "--yes"], monkeypatch, capsys)
    assert code == 0, err
    assert "merged/model.safetensors" in out and "102.4 kB" in out and "6 files" in out and "pushed: " in out
    assert TOKEN not in out + err and hub.tokens == {TOKEN}
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    code, out, err = said(["push", str(folder), "--to", REPO, "--yes", "--json"], monkeypatch, capsys)
    assert code == 0 and json.loads(out)["private"] is True


class _Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_it_asks_and_takes_no_for_an_answer(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["push", str(export(tmp_path / "export")), "--to", REPO]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(sys, "stdin", _Typed("n\n"))
    code, out, err = said(arguments, monkeypatch, capsys)
    assert code == 1 and hub.repos == {}
    assert "Send 6 files to me/tuned, private, new? [y/N]" in err and "154.4 kB" in out
    monkeypatch.setattr(sys, "stdin", _Typed("y\n"))
    assert said(arguments, monkeypatch, capsys)[0] == 0 and hub.repos[REPO].private


@pytest.mark.parametrize("flag", ["--quiet", "--json"])
def test_it_never_asks_without_showing_what_would_go(
    flag: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["push", str(export(tmp_path / "export")), "--to", REPO, flag]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(sys, "stdin", _Typed("n\n"))
    code, out, err = said(arguments, monkeypatch, capsys)
    assert (code, out.strip(), hub.repos) == (1, "", {})
    listed, _, asked = err.partition("Send 6 files to me/tuned, private, new? [y/N]")
    assert asked and all(one in listed for one in ("merged/model.safetensors", "102.4 kB", "154.4 kB"))
    assert "merged/" not in said([*arguments, "--yes"], monkeypatch, capsys)[2], "what nobody asks is not shown"


def test_a_run_is_exported_before_it_is_pushed(
    hub: Hub, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    code, out, err = said(["push", str(run), "--to", REPO, "--yes"], monkeypatch, capsys)
    assert code == 0, err
    sent, kept = hub.repos[REPO].files, run / "export"
    assert sent == {path.relative_to(kept).as_posix(): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert {
        "README.md",
        "adapter/adapter_model.safetensors",
        "merged/model.safetensors",
        "reproduce.json",
    } <= sent.keys()
