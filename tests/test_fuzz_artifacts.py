"""Random damage to what a run leaves behind: it is read as it was, or refused by an error of our own.

A few examples of each in the suite; FUZZ_EXAMPLES of each under `make torture`.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from pinpoint.artifacts import Journal, Workspace
from pinpoint.errors import PinpointError
from pinpoint.pipeline import package_of, read_record, restored
from tests.test_fuzz import TEXT, VALUES, fuzzed
from tests.test_fuzz import folder as folder


def stored(folder: Path) -> dict[str, bytes]:
    shutil.rmtree(folder / "run", ignore_errors=True)
    space = Workspace(folder / "run")
    space.write_tensors("a.safetensors", {"x": torch.arange(12.0).view(3, 4), "y": torch.ones(2)}, {"metric": "m"})
    space.write_json("b.json", {"x": [1.5, "é"]})
    space.write_jsonl("c.jsonl", [{"x": 1}, {"y": 2}])
    space.journal("d.jsonl").put("key", ["value"])
    return {path.name: path.read_bytes() for path in space.root.iterdir()}


@st.composite
def damage(draw: st.DrawFn) -> tuple[str, Callable[[bytes], bytes]]:
    name = draw(st.sampled_from(["a.safetensors", "b.json", "c.jsonl", "digests.json"]))
    where, how = draw(st.floats(0, 1)), draw(st.sampled_from(["cut", "flip", "random"]))
    bit, noise = draw(st.integers(0, 7)), draw(st.binary(max_size=40))

    def change(data: bytes) -> bytes:
        at = min(int(where * len(data)), len(data) - 1)
        flipped = data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
        return {"cut": data[:at], "flip": flipped, "random": noise}[how]

    return name, change


READ: dict[str, Callable[[Workspace], Any]] = {
    "a.safetensors": lambda space: space.read_tensors("a.safetensors"),
    "b.json": lambda space: space.read_json("b.json"),
    "c.jsonl": lambda space: space.read_jsonl("c.jsonl"),
}


@pytest.mark.parametrize("vouched", [False, True])
def test_damaged_artifacts(folder: Path, vouched: bool) -> None:
    whole = stored(folder)
    space = Workspace(folder / "run")

    @fuzzed
    @given(damage())
    def read(done: tuple[str, Callable[[bytes], bytes]]) -> None:
        name, change = done
        for other, data in whole.items():
            (space.root / other).write_bytes(data)
        changed = change(whole[name])
        if vouched and name != "digests.json":
            # Whoever changes a file can write its digest down, too.
            space._store(name, changed)
        else:
            (space.root / name).write_bytes(changed)
        for file, reader in READ.items():
            try:
                reader(space)
            except PinpointError as error:
                assert str(space.root) in str(error)
            else:
                assert vouched or changed == whole[name] or file != name, "a changed file was read as whole"

    read()


@fuzzed
@given(st.binary(max_size=200), st.floats(0, 1))
def test_damaged_journals(folder: Path, noise: bytes, where: float) -> None:
    path = folder / "journal.jsonl"
    path.unlink(missing_ok=True)
    for key in "abc":
        Journal(path).put(key, [key])
    data = path.read_bytes()
    at = int(where * len(data))
    path.write_bytes(data[:at] + noise + data[at + len(noise) :])
    found = [Journal(path).get(key) for key in "abc"]
    assert all(value in (None, [key]) for key, value in zip("abc", found, strict=True))
    Journal(path).put("d", 1)
    assert Journal(path).get("d") == 1


RECORD = {"config": {"model": "m"}, "masked": [], "seed": 0} | dict.fromkeys(
    ("versions", "machine", "inputs", "results", "metrics"), {}
)
RECORDS = st.dictionaries(st.sampled_from(sorted(RECORD)), VALUES).map(lambda some: RECORD | some)
INPUTS = st.dictionaries(
    st.sampled_from(["model", "data.questions", "seed.x", "none", "..", "data.none.x", ""]),
    st.fixed_dictionaries({"path": TEXT, "files": st.dictionaries(TEXT | st.just("../../x"), TEXT, max_size=2)}),
    max_size=2,
)


@fuzzed
@given(RECORDS, INPUTS, st.booleans())
def test_records_of_runs(folder: Path, record: dict[str, Any], inputs: dict[str, Any], put: bool) -> None:
    path = folder / "reproduce.json"
    path.write_text(json.dumps(record | ({"inputs": inputs} if put else {})))
    try:
        restored(read_record(path), str(path), [folder])
    except PinpointError as error:
        assert error.exit_code == 2


MANIFESTS = st.fixed_dictionaries(
    {"checks": VALUES, "files": VALUES, "run": VALUES},
    optional={"format": VALUES},
) | st.fixed_dictionaries(
    {
        "checks": st.just([{"name": "x", "ok": True, "detail": ""}]),
        "files": st.dictionaries(TEXT | st.just("../rows.jsonl"), st.just({"bytes": 1, "sha256": "x"}), max_size=3),
        "run": st.just({}),
    }
)


@fuzzed
@given(MANIFESTS | VALUES)
@example({"checks": [{"name": "x", "ok": True, "detail": ""}], "files": {"\0": {"bytes": 1, "sha256": "x"}}, "run": {}})
def test_manifests_of_exports(folder: Path, manifest: Any) -> None:
    (folder / "export.json").write_text(json.dumps(manifest))
    try:
        package_of(folder)
    except PinpointError as error:
        assert str(folder) in str(error)
