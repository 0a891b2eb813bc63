"""The record of other libraries: whole rows, and single peers put beside what a row has."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench._ratios import HEIGHT, TOP, ratios
from bench._shapes import BATCH
from bench.peers import BY_NAME, OURS, PEERS, SHAPES, Shape, main, merged, summary
from bench.peers_memory import BATCHED, MEASURED, SOME
from tests.conftest import ROOT

SMALL = Shape(layers=2, heads=4, groups=2, d_head=8, inner=48, vocabulary=64, pairs=3, shared=10, after=2)
HOOKED, _, _, PYVENE = PEERS
PREDICTED = ((10, 9.0), (50, 42.0), (100, 80.0), (200, 240.0))


def row(**ratios: float) -> dict[str, Any]:
    names = {"hooked": HOOKED, "pyvene": PYVENE}
    peers = {names[name]: {"ratio": ratio, "machine": f"{name}, {ratio}"} for name, ratio in ratios.items()}
    return {"shape": SMALL._asdict(), "attention": "eager", "peers": peers}


def test_a_ratio_keeps_the_time_that_it_is_over() -> None:
    found = summary(SMALL, {OURS: [2.0, 1.0, 3.0], HOOKED: [8.0, 9.0, 7.0]}, {OURS: [1.0, 2.0], HOOKED: [1.0, 1.5]})
    one = found["peers"][HOOKED]
    assert (one["ratio"], one["seconds"], one["our_seconds"], one["difference"]) == (4.0, 8.0, 2.0, 0.25)
    assert one["of_predicted"] == pytest.approx(4.0 / found["predicted"])


def test_peers_run_by_name_are_put_beside_those_of_the_row_and_keep_their_own_run() -> None:
    both = merged(row(pyvene=150.0), row(hooked=30.0))
    assert list(both["peers"]) == [HOOKED, PYVENE]
    assert [one["machine"] for one in both["peers"].values()] == ["hooked, 30.0", "pyvene, 150.0"]
    assert merged(both, row(hooked=31.0))["peers"][HOOKED]["ratio"] == 31.0
    assert merged(None, row(hooked=30.0)) == row(hooked=30.0)


@pytest.mark.parametrize("change", [{"shape": SMALL._replace(pairs=4)._asdict()}, {"attention": "sdpa"}])
def test_a_row_of_another_shape_or_attention_starts_anew(change: dict[str, Any]) -> None:
    assert merged(row(pyvene=150.0), row(hooked=30.0) | change) == row(hooked=30.0) | change


def test_what_takes_long_is_no_part_of_a_plain_run_and_a_peer_is_refused_that_cannot_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(BY_NAME) < set(SHAPES)
    monkeypatch.setattr(sys, "argv", ["peers.py", "--peers", PYVENE, "--attention", "sdpa"])
    with pytest.raises(SystemExit):
        main()
    assert "read heads off eager attention alone" in capsys.readouterr().err


def test_the_page_names_the_peers_that_have_a_run_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import page

    results = shutil.copytree(ROOT / "bench" / "results", tmp_path / "results")
    record = json.loads((results / "peers.json").read_text())
    label, first = next(iter(record["shapes"].items()))
    first["peers"][PYVENE] |= {"machine": "another day", "of_predicted": 0.5}
    (results / "peers.json").write_text(json.dumps(record))
    page.write(results, tmp_path)
    told = (tmp_path / "benchmarks.md").read_text()
    assert f"- {label} ({PYVENE}): another day." in told
    assert f"{label} ({', '.join(list(PEERS)[:3])})" in told
    assert f"Missed: {PYVENE} at {label}, 0.50 of the predicted ratio." in told


def test_the_picture_has_every_ratio_and_those_that_reach_the_aim_above_its_line() -> None:
    shapes = {f"{predicted} & more": row(hooked=ratio) | {"predicted": predicted} for predicted, ratio in PREDICTED}
    shapes["10 & more"]["peers"][PYVENE] = {"ratio": 90.0}
    drawn = ElementTree.fromstring(ratios({"shapes": shapes}))
    ns = "{http://www.w3.org/2000/svg}"
    told = [one.text for one in drawn.iter(f"{ns}title")]
    assert f"{HOOKED}, 100 & more: predicted 100, measured 80" in told and len(told) == len(PREDICTED) + 1
    assert len(list(drawn.iter(f"{ns}circle"))) == len(PREDICTED) + 1, "one in the legend"
    [broken] = [one.get("d", "") for one in drawn.iter(f"{ns}path") if one.get("stroke-dasharray")]
    (x0, y0), (x1, y1) = (map(float, end.split()) for end in broken.removeprefix("M").split("L"))
    marks = [(float(one.get("cx", 0)), float(one.get("cy", 0))) for one in drawn.iter(f"{ns}circle")][: len(PREDICTED)]
    for (x, y), (predicted, ratio) in zip(marks, PREDICTED, strict=True):
        assert TOP < y < TOP + HEIGHT
        assert (y < y0 + (x - x0) * (y1 - y0) / (x1 - x0)) == (ratio > 0.85 * predicted), "up is less in an SVG"


def test_memory_is_measured_on_full_passes_too_and_told_with_and_without_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        set(BATCHED) & set(SOME)
        and set(SOME) <= set(MEASURED)
        and {shape.pairs for shape in BATCHED.values()} == {BATCH}
    )
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import page

    names = ("one shape", "another")
    shape = {"pairs": 32, "weights": 2**20, "plain": 2**20, "machine": "one day"}
    shape |= {"beside": {OURS: 2**21, HOOKED: 3 * 2**20}, "over_plain": {OURS: 1.5, HOOKED: 2.0}}
    shapes = {name: shape for name in names}
    shapes["another"] = shape | {"beside": {OURS: 5 * 2**19}, "over_plain": {OURS: 1.75}, "machine": "another day"}
    (tmp_path / "peers_memory.json").write_text(json.dumps({"command": "x", "shapes": shapes}))
    page.write(tmp_path, tmp_path)
    told = (tmp_path / "benchmarks.md").read_text().replace(" |", "|").replace("| ", "|")
    assert "|one shape|32|1|1.50 (2.0)|2.00 (3.0)|" in told and "|another|32|1|1.75 (2.5)|not run|" in told
    assert told.count("Missed:") == 1 and "Missed: another, 1.75." in told
    assert "- one shape: one day." in told and "- another: another day." in told
