"""What a release rests on: one version, a citation file that tools can read, workflows that hold no secret."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import pinpoint
from pinpoint._version import __version__
from tests.browser.conftest import PICTURES

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    # YAML 1.1 takes the key `on` for true.
    loaded: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return loaded | {"on": loaded.get("on", loaded.get(True))}


def test_the_version_is_written_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/pinpoint/_version.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|a\d+|b\d+|rc\d+)?", __version__)
    assert pinpoint.__version__ == __version__
    assert "version" not in yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?(Unreleased|" + re.escape(__version__) + r")\b", changelog, re.MULTILINE)


def test_the_citation_file_has_what_the_format_asks_for() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["title"]
    assert cited["type"] in ("software", "dataset")
    license_name = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"]
    assert cited["license"] == license_name
    for work in (cited, *cited["references"]):
        assert work["title"] and work["authors"]
        assert all({"family-names", "given-names"} <= one.keys() or "name" in one for one in work["authors"])
    [paper] = cited["references"]
    assert paper["type"] == "conference-paper" and paper["conference"]["name"] and paper["year"] == 2024
    assert any("2409.01658" in one["value"] for one in paper["identifiers"])


@pytest.mark.parametrize("name", ["audit.yml", "ci.yml", "publish.yml"])
def test_a_workflow_keeps_no_secret_and_starts_with_few_rights(name: str) -> None:
    text = (WORKFLOWS / name).read_text(encoding="utf-8")
    assert "secrets." not in text and "password" not in text
    assert workflow(name)["permissions"] == {"contents": "read"}
    for job in workflow(name)["jobs"].values():
        if "uses" in job:
            continue  # another workflow's jobs, which are looked at there
        assert job["timeout-minutes"]
        assert all(re.search(r"@\w", step["uses"]) for step in job["steps"] if "uses" in step)


def test_ci_runs_what_everybody_runs() -> None:
    jobs = workflow("ci.yml")["jobs"]
    job = jobs.pop("ci")
    *_, run, pictures = job["steps"]
    assert run == {"run": ".ci/run"}
    assert [extras["steps"][-1] for extras in jobs.values()] == [{"run": "make test-extras"}]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest, newest = job["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={oldest}" and oldest < newest
    assert pictures["if"] == "always()" and ROOT / pictures["with"]["path"] == PICTURES
    assert all((ROOT / ".ci" / name).stat().st_mode & 0o111 for name in ("run", "chromium", "wheel"))


def test_without_chromium_and_a_way_to_it_ci_is_told_so(tmp_path: Path) -> None:
    for name in ("bash", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    (tmp_path / "id").write_text("#!/usr/bin/env bash\necho 1000\n")
    (tmp_path / "id").chmod(0o755)

    def asked() -> tuple[int, str]:
        done = subprocess.run([ROOT / ".ci" / "chromium"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
        return done.returncode, done.stdout

    assert asked() == (1, "")
    (tmp_path / "google-chrome").symlink_to("/usr/bin/env")
    assert asked() == (0, f"{tmp_path}/google-chrome\n")


def test_weaknesses_of_dependencies_are_asked_for_weekly_and_where_one_cannot_be_looked_up_it_fails() -> None:
    assert workflow("audit.yml")["on"]["schedule"]
    [job] = workflow("audit.yml")["jobs"].values()
    assert job["steps"][-1] == {"run": "make audit"}
    assert "pip-audit --strict" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_only_the_job_that_publishes_may_ask_for_an_identity_and_it_runs_no_code_of_ours() -> None:
    jobs = workflow("publish.yml")["jobs"]
    assert jobs["tests"] == {"uses": "./.github/workflows/ci.yml"} and "workflow_call" in workflow("ci.yml")["on"]
    assert jobs["build"]["needs"] == "tests", "nothing is built, and so nothing sent, unless the tests pass"
    assert workflow("publish.yml")["on"] == {"push": {"tags": ["v*"]}}
    assert jobs["publish"]["permissions"] == {"id-token": "write"} and "permissions" not in jobs["build"]
    assert jobs["publish"]["needs"] == "build" and jobs["publish"]["environment"]["name"] == "pypi"
    steps = jobs["publish"]["steps"]
    assert not any("run" in step for step in steps)
    assert steps[-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    told = "\n".join(step.get("run", "") for step in jobs["build"]["steps"])
    assert "rm -rf src" in told and "python -m build" in told
