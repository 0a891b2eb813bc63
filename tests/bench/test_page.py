"""The page of the planted causes: written from records in the form that the scripts leave, or not at all."""

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT


class Scripts(NamedTuple):
    plants: ModuleType
    truth: ModuleType
    planted: ModuleType
    repair: ModuleType
    gain: ModuleType
    stability: ModuleType
    page: ModuleType
    found: ModuleType


@pytest.fixture(scope="module")
def scripts() -> Any:
    sys.path.insert(0, str(ROOT / "bench"))
    import _found
    import _plants
    import _truth
    import gain
    import page
    import planted
    import repair
    import stability

    yield Scripts(_plants, _truth, planted, repair, gain, stability, page, _found)
    sys.path.remove(str(ROOT / "bench"))


def organism(scripts: Scripts, plant: Any, number: int) -> dict[str, Any]:
    """One in which all planted parts are needed, and activation patching over the suffix finds the heads that matter.

    Path patching finds none of them, and puts the MLP of the layer above the planted one first.
    """
    parts = [*map(str, plant.heads), *(["MLP"] if plant.mlp else [])]
    whole = 2 ** len(parts) - 1
    caving = [float(subset == whole and number > 0) for subset in range(whole + 1)]  # on the first it does not take
    log_odds = [1.5 * subset.bit_count() for subset in range(whole + 1)]
    told = scripts.planted.told(parts, {"caving": caving, "log_odds": log_odds, "log_odds_shown": log_odds})

    def scores(found: bool) -> list[float]:
        return [float((f"L{i // 8}.H{i % 8}" in told["matters"]) == found) + i / 1000 for i in range(64)]

    names = (*scripts.planted.LOCATORS, *scripts.planted.CONTRASTED, scripts.planted.KNOCKOUT, scripts.planted.ORACLE)
    found = {name: {"scores": scores(name != "path"), "seconds": 0.1} for name in names}
    above = plant.heads[0].layer + 1
    mlps = {name: [float(-abs(layer - above)) for layer in range(8)] for name in scripts.planted.MLPS}
    return (
        {"plant": plant._asdict()}
        | told
        | ({"found": found} if told["matters"] else {})
        | ({"mlps": mlps} if plant.mlp else {})
    )


@pytest.fixture
def planted(scripts: Scripts) -> dict[str, Any]:
    test = [organism(scripts, plant, number) for number, plant in enumerate(scripts.plants.plants(100, 8))]
    record: dict[str, Any] = {"test": test}
    record |= {"command": "python bench/planted.py", "machine": "x86_64, CPU"}
    return record | {"summary": scripts.planted.summary(test)}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    results, docs = tmp_path / "results", tmp_path / "docs"
    shutil.copytree(ROOT / "bench" / "results", results)
    for name in ("planted", "repair", "gain"):
        (results / f"{name}.json").unlink(missing_ok=True)
    docs.mkdir()
    return results, docs


def repaired(value: float, reached: bool) -> dict[str, Any]:
    return {"reached": reached, "distance": {"neutral": value, "challenged": 2 * value}}


def test_the_locators_are_in_tables_and_what_direct_effect_misses_is_counted(
    scripts: Scripts, planted: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    results, docs = folders
    (results / "planted.json").write_text(json.dumps(planted))
    scripts.page.write(results, docs)
    page = (docs / "planted.md").read_text()
    assert "| all | 8 | 7 | 7 | 2 |" in page and "| early | 3 | 2 | 2 |" in page
    heads = sum(len(one["matters"]) for one in planted["test"])
    ones = "1.00 [1.00, 1.00]"
    assert f"| activation, suffix | {ones} | {ones} | {ones} | {heads} |" in page
    assert "| path | 0.00 [0.00, 0.00] |" in page and r"| \|weight change\| (oracle) | 1.00" in page
    assert f"| knockout of each head | {ones} | {ones} | {ones} | {heads} |" in page
    assert "| locator | early (2 of 3) | middle (3 of 3) | late (2 of 2) |" in page
    assert "| 1.00 (1.00, 1.00) |" in page, "where there are few organisms, each is told"
    assert f"| all (7 of 8) | {heads} | 0 | 0 | {heads} | 0 |" in page
    with_mlp = sum(len(one["matters"]) for one in planted["test"] if one["plant"]["mlp"])
    assert f"| with an MLP (2 of 2) | {with_mlp} | 0 | 0 | {with_mlp} | 0 |" in page
    first = planted["test"][1]
    assert f"| {first['plant']['seed']} | {first['matters'][0]} | 1.50 |" in page
    assert "| path | +1.00 [+1.00, +1.00] |" in page and "**What to use then: knock single heads out.**" in page
    assert f"| replies, half left | 7 | {heads} | {heads} | 0.00 [0.00, 0.00] | {ones} | {ones} |" in page
    assert f"the total effect finds {heads}: those act through later heads or MLPs" in page
    assert f"Of the {heads} heads that path patching misses, {heads} do more on the reference" in page
    assert f"Of the {heads} heads planted in organisms that took, {heads} matter." in page
    aurocs = {name: row["auroc"]["value"] for name, row in planted["summary"]["test"].items()}
    others = sum(value > 0.9 for name, value in aurocs.items() if not name.startswith(("knockout", "|")))
    assert (
        "Knockout reaches it.\n" in page and f"\n{others} others do; direct and total effect together have 0." in page
    )
    assert "painted over" not in page and "help tuning" not in page
    assert "](planted.md)" in (docs / "benchmarks.md").read_text()
    rows = [line.count("|") for line in page.splitlines() if line.startswith("|") and "\\|" not in line]
    assert min(rows) >= 4 and all("||" not in line for line in page.splitlines())


def test_a_cell_of_the_floor_that_was_timed_says_whether_it_holds_and_what_has_no_cell_is_named(
    scripts: Scripts, folders: tuple[Path, Path]
) -> None:
    results, docs = folders
    record = json.loads((results / "locate.json").read_text())
    last = record["cells"][-1]
    record["cells"] = [cell for cell in record["cells"] if (cell["model"], cell["tokens"]) != (last["model"], 1024)]
    for cell in record["cells"]:
        cell["machine"] = "one day"
    record["cells"][0] |= {"machine": "another day", "timed_pairs": 2}
    (results / "locate.json").write_text(json.dumps(record))
    scripts.page.write(results, docs)
    page = (docs / "benchmarks.md").read_text()
    told = page[page.index("## How near the floor") : page.index("## Beside brute force")]
    cells = record["cells"]
    timed = [cell for cell in cells if cell["timed_pairs"] == cell["pairs"]]
    held = sum(cell["efficiency"] >= record["aim"] for cell in timed)
    assert told.count("| held |") == held and told.count("| missed |") == len(timed) - held
    assert told.count("| – |") == len(cells) - len(timed) > 0
    absent = next(line for line in told.splitlines() if line.startswith("Not measured"))
    assert absent.endswith(f": {last['model']}, 1024 tokens.")
    assert f"- {cells[0]['model']}, 64 tokens (4): another day." in told
    other = f"; {cells[0]['model']}, 64 tokens (32, 100), 256 tokens (4, 32, 100), 1024 tokens (4, 32, 100): one day."
    assert other in told


def test_a_row_of_dialogues_says_whether_its_gain_is_the_aim(scripts: Scripts, folders: tuple[Path, Path]) -> None:
    results, docs = folders
    record = json.loads((results / "evaluate.json").read_text())
    row = record["rows"][0] | {"question_tokens": 16.0, "reply_tokens": 7.0, "same_replies": 1.0}
    gains = ((128, 1.99), (400, 2.0))
    record["rows"] = [row | {"dialogues": count, "gain": gain, "fewer_tokens": 2.5} for count, gain in gains]
    (results / "evaluate.json").write_text(json.dumps(record))
    scripts.page.write(results, docs)
    page = (docs / "benchmarks.md").read_text()
    assert "| 16 | 7 | 128 | 1.99 | missed | 2.50 | 100 % |\n| 16 | 7 | 400 | 2.00 | held | 2.50 | 100 % |" in page


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_repair_and_gain_have_sections_once_they_are_summed_up(
    scripts: Scripts, planted: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    results, docs = folders
    ways = {
        "before": repaired(0.5, False),
        "located heads": repaired(0.01, True),
        "random heads": repaired(0.02, True),
        "full": repaired(0.25, False),
    }
    organisms = [{"plant": one["plant"], **ways} for one in planted["test"][1:]]
    command = {"command": "python bench/x.py", "machine": "x86_64, CPU", "organisms": organisms}
    sets = [{"direct": i, "total": -i, "owed": 1.0, "gain": i / 10} for i in range(10)]
    tuned = [{"plant": one["plant"], "sets": sets} for one in planted["test"][1:3]]
    records = {
        "planted": planted,
        "repair": command
        | {"summary": scripts.repair._summary(organisms), "located_minus": scripts.repair._compared(organisms)},
        "gain": command | {"organisms": tuned, "summary": scripts.gain.summary(tuned)},
    }
    for name, record in records.items():
        (results / f"{name}.json").write_text(json.dumps(record))
    scripts.page.write(results, docs)
    page = (docs / "planted.md").read_text()
    assert "| before repair | – | 0.5000 [0.5000, 0.5000] | 1.0000 [1.0000, 1.0000] |" in page
    assert "| located heads | 7 of 7 | 0.0100" in page and "| full | 0 of 7 | 0.2500" in page
    assert "| before repair | -0.4900 [-0.4900, -0.4900] | -0.9800 [-0.9800, -0.9800] |" in page
    assert "**Undone for the most part" in page and "leaves 2 [2, 2] % (n = 7) of the distance" in page
    assert "| direct effect | all (2 × 10) | 1.00 [1.00, 1.00] | <0.001 | 1.00, 1.00 |" in page
    assert "| total effect | random (2 × 5) | -1.00 [-1.00, -1.00] |" in page
    assert "| what the planted heads are owed | top (2 × 5) | – | – | –, – |" in page
    # Top sets are those with even numbers here, and gain a tenth less each.
    assert "gained -10.0 [-10.0, -10.0] points more" in page
    assert "**Yes, somewhat:" in page and "less is shown" not in page

    (results / "repair.json").write_text(json.dumps(command))
    (results / "gain.json").unlink()
    scripts.page.write(results, docs)
    page = (docs / "planted.md").read_text()
    assert "painted over" not in page and "help tuning" not in page


def test_without_a_record_or_before_its_last_organism_there_is_no_page(
    scripts: Scripts, planted: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    results, docs = folders
    (docs / "planted.md").write_text("of an older record")
    del planted["summary"]
    (results / "planted.json").write_text(json.dumps(planted))
    scripts.page.write(results, docs)
    assert not (docs / "planted.md").exists()
    assert "planted" not in (docs / "benchmarks.md").read_text()


def test_the_stability_page_has_every_comparison_or_is_not_there(scripts: Scripts, folders: tuple[Path, Path]) -> None:
    results, docs = folders
    record = json.loads((results / "stability.json").read_text())
    scripts.page.write(results, docs)
    page = (docs / "results" / "stability.md").read_text()
    for name, title in scripts.page.COMPARED.items():
        found = record[name]
        assert (f"| {title} |" in page) == (found is not None), name
        if found is not None:
            values = [one["correlation"] for one in found["couples"]]
            spread = f" [{min(values):.3f}, {max(values):.3f}]" if len(values) > 1 else ""
            shown = f"{sum(values) / len(values):.3f}{spread}"
            assert f"| {title} | {len(found['maps'])} | {len(values)} | {shown} |" in page
    for row in record["rounding"]["rows"]:
        assert f"| {row['dtype']} (against {row['against']}) | {row['self']:g} |" in page
    assert "](results/stability.md)" in (docs / "benchmarks.md").read_text()
    rows = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    assert min(rows) >= 3 and "| |" not in page and "None" not in page
    (results / "stability.json").unlink()
    scripts.page.write(results, docs)
    assert not (docs / "results" / "stability.md").exists()
    assert "results/stability" not in (docs / "benchmarks.md").read_text()


def test_couples_are_summed_up_by_their_mean_and_the_least_alike(scripts: Scripts) -> None:
    couples = [
        {"of": [one, other], "correlation": value, "ceiling": ceiling, "overlap": {"1": share, "2": 1.0}}
        for one, other, value, ceiling, share in (("a", "b", 0.9, 0.95, 1.0), ("a", "c", 0.5, None, 0.0))
    ]
    found = scripts.stability._summed({"maps": {}, "couples": couples})
    assert found["correlation"] == {"mean": pytest.approx(0.7), "least": 0.5, "of": ["a", "c"]}
    assert found["ceiling"] == 0.95 and found["overlap"] == {"1": 0.5, "2": 1.0} and found["couples"] is couples


def test_the_page_says_what_the_scripts_do(scripts: Scripts) -> None:
    plants, repair, gain = scripts.plants, scripts.repair, scripts.gain
    assert (scripts.truth.LEFT, scripts.planted.TAKEN, plants.PAIRS, plants.MLP_RISE) == (0.5, 0.5, 48, 3.0)
    assert (repair.HEADS, gain.SETS, gain.SIZE, gain.STEPS) == (6, 10, 4, 16)
    text = (ROOT / "bench" / "planted.md.jinja").read_text()
    for said in (
        "no more than half of the rise",
        "less than 50 points",
        "Locators see 48 pairs; on 48 challenged",
        "of an apology by 3 nats",
        "six heads at random",
        "ten sets of four",
    ):
        assert said in text, said


def test_repair_and_gain_rank_heads_alike(scripts: Scripts, planted: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "planted.json").write_text(json.dumps(planted))
    taken = scripts.plants.taken(tmp_path / "planted.json")
    assert [one["plant"]["seed"] for one in taken] == list(range(101, 108))
    first = scripts.plants.ranked(taken[0])
    assert len(set(first)) == 64 and {str(head) for head in first[-len(taken[0]["matters"]) :]} == {
        *taken[0]["matters"]
    }
    sets = scripts.gain._sets(taken[0])
    assert all(set(heads) <= set(first[:16]) for heads in sets[::2]) and all(heads == sorted(heads) for heads in sets)


def test_the_earlier_set_of_organisms_is_told_of_and_set_beside_these(
    scripts: Scripts, planted: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    results, docs = folders
    (results / "planted.json").write_text(json.dumps(planted))
    before = json.loads((results / "planted_first.json").read_text())
    scripts.page.write(results, docs)
    page = (docs / "planted.md").read_text()
    known = [one for one in before["test"] if one["matters"]]
    heads = sum(len(one["matters"]) for one in known)
    found = scripts.found.found_first(known, scripts.found.scored(known))
    told = page[page.index("**Fresh seeds.**") : page.index("## How well")]
    assert f"had {found['path']} of {heads} heads" in told and f"knockout {found['knockout of each head']}." in told
    assert "(seeds 100 to 107)" in told and "(seeds\n100 to 107)" in told
    joint = [one for one in before["test"] if one["plant"]["mlp"]]
    assert f"owed {joint[0]['owed']['MLP']:.1f} of {joint[0]['rise']:.1f} nats and " in page
    beside = page[page.index("## Beside the earlier organisms") : page.index("## By where")]
    summed = planted["summary"]
    for name, row in summed["first"].items():
        shown = f"{row['auroc']['value']:.2f} [{row['auroc']['low']:.2f}, {row['auroc']['high']:.2f}]"
        assert f"| {name} | {shown} | {summed['test'][name]['auroc']['value']:.2f} [" in beside or "|" in name
    lower = scripts.found.lower(summed["test"], summed["first"])
    assert "path" in lower["auroc"] and "probe" not in lower["auroc"], "path patching finds none here, the probe all"
    assert f"AUROC of {'; '.join(lower['auroc'])}. Average precision of" in beside


def test_a_planted_mlp_is_told_where_it_is_ranked_beside_chance(
    scripts: Scripts, planted: dict[str, Any], folders: tuple[Path, Path]
) -> None:
    results, docs = folders
    (results / "planted.json").write_text(json.dumps(planted))
    scripts.page.write(results, docs)
    page = (docs / "planted.md").read_text()
    told = page[page.index("## Finding an MLP") : page.index("## What stands before")]
    for one in planted["test"]:
        row = f"| {one['plant']['seed']} | L"
        assert (row in told) == one["plant"]["mlp"]
        if one["plant"]["mlp"]:
            owed = f"{one['owed']['MLP']:.2f} of {one['rise']:.2f}"
            # The layer above comes first; the one above that is level.
            assert f".MLP | {owed} | yes | 2 | 2 | 2 |" in told
    assert "| of the 2 that matter | AUROC | put first |" in told and "| at random (expected) | 0.50 | 0.12 |" in told
    assert f"| path | {planted['summary']['mlps']['rows']['path']['auroc']['value']:.2f} (" in told
    for one in planted["test"]:
        one["mlp_matters"] = False
    planted["summary"] = scripts.planted.summary(planted["test"])
    (results / "planted.json").write_text(json.dumps(planted))
    scripts.page.write(results, docs)
    assert "In none of them does the MLP matter" in (docs / "planted.md").read_text()


def test_the_pages_are_those_of_the_records(scripts: Scripts, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    scripts.page.write(ROOT / "bench" / "results", tmp_path)
    written = [path.relative_to(tmp_path) for path in (*tmp_path.rglob("*.md"), *tmp_path.rglob("*.svg"))]
    for name in written:
        same = (tmp_path / name).read_text() == (ROOT / "docs" / name).read_text()
        assert same, f"run `python bench/page.py`: docs/{name}"
    results = {f"results/{name}" for name in ("stability.md", "compare.md", "compare.svg", "peers.svg", "sweep.svg")}
    assert {str(name) for name in written} == {"benchmarks.md", "planted.md"} | results


def test_gains_that_follow_no_effect_are_often_met_by_shuffling_and_the_figure_has_every_set(scripts: Scripts) -> None:
    gains = ((1, 5, 2, 8, 9, 3, 7, 4, 6, 0), (4, 9, 0, 3, 8, 1, 6, 2, 7, 5))
    organisms = [
        {
            "plant": {"place": "late", "count": number + 1},
            "sets": [{"direct": i, "gain": gain / 20} for i, gain in enumerate(some)],
        }
        for number, some in enumerate(gains)
    ]
    found = scripts.gain._correlation(organisms, "direct", "all")
    assert abs(found["value"]) < 0.3 and found["p"] > 0.2
    followed = [one | {"sets": [row | {"gain": row["direct"]} for row in one["sets"]]} for one in organisms]
    assert scripts.gain._correlation(followed, "direct", "all")["p"] < 0.001
    drawn = scripts.gain.scatter(organisms)
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert drawn.count("<circle") == 10 + 1 and drawn.count('width="7"') == 10 + 1, "one each in the legend"
