"""The tables of the docs' results are those of the records beside the benchmarks."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from scipy.stats import binomtest

from bench._found import of_planted
from bench.behaviours import EXAMPLES
from bench.published_path import table
from pinpoint.config import SweepConfig, TuneConfig, VerifyConfig, resolve
from pinpoint.numerals import with_interval
from pinpoint.organism import shipped
from pinpoint.report._comparison_tables import (
    ability_rows,
    again_rows,
    comparison_rows,
    memory_words,
    pinpoint_rows,
    rate,
    searched_rows,
)
from pinpoint.report._sweep import sweep_tables
from tests.conftest import ROOT


def _tables(page: str) -> list[list[list[str]]]:
    """The tables of a page of docs/ as rows of cells, headers first."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("| "):
            if not inside:
                tables.append([])
            cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
            if not set(line) <= set("|-: "):
                tables[-1].append(cells)
        inside = line.startswith("|")
    return tables


def _record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "bench" / "results" / name).read_text(encoding="utf-8"))
    return found


def _value(estimates: dict[str, Any]) -> Callable[[str], float]:
    return lambda name: float(estimates[name]["value"])


def test_the_comparison_shows_its_record() -> None:
    found, quick = _record("compare.json"), _record("compare_quick.json")
    searched = [["method", "chosen", "tried: setting, truthfulness in %, KL"], *searched_rows(found, "truthfulness")]
    tables = [comparison_rows(found), pinpoint_rows(found), ability_rows(found), again_rows(found), searched]
    assert _tables("results/compare.md") == [*tables, comparison_rows(quick)]
    page = (ROOT / "docs" / "results" / "compare.md").read_text(encoding="utf-8")
    assert memory_words(found) in page and found["commit"] in page and found["machine"] in page


def test_what_the_comparison_is_said_to_show_is_in_its_record() -> None:
    found = _record("compare.json")
    apart = found["tests"]["pinpoint"]
    assert found["heads"][:2] == ["L0.H3", "L0.H2"] and len(found["heads"]) == 6
    other = [name for name, one in found["methods"].items() if one["method"] in ("random", "matched", "bottom")]
    alike = [name for name in other if apart["truthfulness"][name]["p_holm"] >= 0.05]
    assert len(other) == 11 and len(alike) > len(other) / 2, "that they are the located six matters little here"
    for name in ("few_shot", "system_prompt", "caa", "iti"):
        difference = found["methods"][name]["versus_pinpoint"]["truthfulness"]
        assert difference["high"] < 0 and apart["truthfulness"][name]["p_holm"] < 0.001, f"{name} works"
    own = found["methods"]["pinpoint_own"]["versus_pinpoint"]["correction_acceptance"]
    assert own["high"] < -0.3, "own answers teach only to insist"
    again = found["methods"]["pinpoint"]["located_again"]
    before, after = again["effects"]["before"], again["effects"]["after"]
    assert all(after[head]["high"] < 0 for head in ("L0.H3", "L0.H2")) and min(before, key=_value(before)) == "L0.H3"
    assert 0.45 < after["L0.H3"]["value"] / before["L0.H3"]["value"] < 0.55, "half as hard"
    turned = [head for head in found["heads"][2:] if before[head]["high"] < 0 < after[head]["low"]]
    assert len(turned) == 3 and "L6.H0" in turned
    looked = {head: [again["attention"][when][head]["value"] for when in again["attention"]] for head in before}
    assert min(looked["L0.H3"] + looked["L0.H2"]) > 0.99 and looked["L6.H0"][0] < 0.05 and looked["L6.H0"][1] > 0.9
    searched = {len(one["searched"]) for one in found["methods"].values() if one["steps"]}
    assert min(searched) > 1 and max(searched) <= 4, "every trained method is searched"


def test_the_readme_claims_what_the_records_bear_out() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    demo, found = _record("demo.json")["methods"], _record("compare.json")
    apart = found["tests"]["pinpoint"]
    assert "**Six of 64 heads are enough** to stop the caving, almost as well as training every weight" in readme
    six, all_weights = (demo[name]["truthfulness"] for name in ("pinpoint", "full"))
    assert six["low"] > demo["base"]["truthfulness"]["high"] and all_weights["value"] - six["value"] < 0.03
    assert "both tuned models accept fewer corrections of wrong answers than the base does" in readme
    for name in ("pinpoint", "full"):
        assert demo[name]["versus_base"]["correction_acceptance"]["high"] < 0, name
        assert found["tests"]["base"]["correction_acceptance"][name]["p_holm"] < 0.05, name
    assert "they are not told apart in this nor, corrected for the number of tests, in anything else" in readme
    assert min(row["full"]["p_holm"] for row in apart.values()) >= 0.05
    assert "full fine-tuning, LoRA and most random sets of heads do as well" in readme
    draws = [name for name, one in found["methods"].items() if one["method"] == "random"]
    alike = [name for name in ("full", "lora", *draws) if apart["truthfulness"][name]["p_holm"] >= 0.05]
    assert {"full", "lora"} < set(alike) and len(alike) - 2 > len(draws) / 2
    assert "Nor does it move the model less" in readme
    assert demo["pinpoint"]["kl"]["high"] > demo["full"]["kl"]["value"] and apart["kl"]["full"]["p_holm"] >= 0.05


def test_what_is_said_of_planted_heads_is_in_their_record() -> None:
    found = _record("planted.json")
    marks, told = found["summary"]["test"], of_planted(found, _record("planted_first.json"))
    path, knocked = (with_interval(marks[name]["auroc"], ".2f") for name in ("path", "knockout of each head"))
    heads, taken = len(told["owed"]), found["summary"]["taken"]
    counts, first = told["places"]["all"]["found"], told["first"]
    readme, page = (
        " ".join((ROOT / name).read_text(encoding="utf-8").split()) for name in ("README.md", "docs/locators.md")
    )
    assert f"path patching finds {first['path']} of {heads} (AUROC {path} over {taken} organisms)" in readme
    assert f"`--method knockout`, finds {first['knockout of each head']} ({knocked})" in readme
    unseen = len(told["missed"])
    assert counts["total"] == 0 and len(told["alike"]) / unseen > 0.9
    assert f"`activation` found none of the {unseen} heads (of {heads}) that `path` had missed. Nearly all" in page
    assert f"ranks the {heads} far higher (AUROC {knocked} against {path}, over {taken} organisms)" in page
    ahead = found["summary"]["knockout_minus"]["path"]
    assert ahead["auroc"]["low"] > 0 and ahead["average_precision"]["low"] > 0


def test_organisms_made_anew_have_counts_and_their_intervals_and_the_shipped_ones_their_own() -> None:
    [first, _] = _tables("results/recipe.md")
    shipped = [
        json.loads((ROOT / "src/pinpoint/organism/weights" / name / "measured.json").read_text(encoding="utf-8"))
        for name in ("truth-teller", "yesman", "yesman-planted")
    ]
    keys = ("accuracy_before", "confidence", "truthfulness", "correction_acceptance")
    for row, key in zip(first[1:5], keys, strict=True):
        assert row[2::2] == [rate(one[key]) for one in shipped], key
    for cell in (cell for row in first[1:] for cell in row[1::2]):
        k, n = map(int, re.search(r"(\d+) of (\d+)", cell).groups())  # type: ignore[union-attr]
        interval = binomtest(k, n).proportion_ci(method="wilson")
        shown = with_interval({"value": k / n, "low": interval.low, "high": interval.high}, ".1f", 100)
        assert cell.startswith(f"{shown}, {k} of {n}"), cell


def test_the_sweep_shows_its_record() -> None:
    found = _record("sweep.json")
    assert _tables("results/sweep.md") == list(sweep_tables(found).values())
    page = (ROOT / "docs" / "results" / "sweep.md").read_text(encoding="utf-8")
    pairs = found["pairs"]
    assert f"{pairs['enough']} pairs are enough for {100 * pairs['stable']:.0f} %" in page
    assert f"{pairs['other_pairs']} pairs of the other half" in " ".join(page.split())


def test_choosing_k_tells_the_defaults_and_what_the_sweep_found() -> None:
    page = " ".join((ROOT / "docs" / "choosing-k.md").read_text(encoding="utf-8").split())
    found = _record("sweep.json")
    assert [point["heads"] for point in found["heads"] if not point["reached"]] == [1, 2]
    assert "one and two heads do not reach 90 % of both rates within five passes, four and more do" in page
    tune = resolve(str(shipped()["yesman"]), None, {}).tune
    assert tune.epochs == 5 and found["heads"][0]["steps"] == tune.steps(2 * found["heads"][0]["questions"]) == 95
    told = (ROOT / "docs" / "results" / "sweep.md").read_text(encoding="utf-8")
    assert "or after five passes over the questions, 95 steps." in " ".join(told.split())
    assert set(found["targets"].values()) == {0.9}
    assert f"`validation` takes {found['chosen']};" in page and f"settled by {found['pairs']['enough']} pairs" in page
    verify, most = VerifyConfig(), TuneConfig().max_heads
    assert f"`verify.max_heads` ({verify.max_heads})" in page and f"`tune.max_heads` ({most})" in page
    assert f"`verify.share` ({100 * verify.share:.0f} %)" in page
    assert TuneConfig().heads == "auto" and SweepConfig().counts == ()


JUDGED = {"qwen0.5b": "Qwen 0.5B", "qwen1.5b": "Qwen 1.5B", "qwen3b": "Qwen 3B", "llama1b": "Llama 1B"}


def test_the_tables_of_the_rules_judge_are_those_of_its_record() -> None:
    halves = _record("judge.json")["halves"]
    other = halves["not looked at"]

    def agreed(half: dict[str, Any], verdict: str, model: str = "all") -> dict[str, Any]:
        [one] = [row for row in half["agreement"] if (row["verdict"], row["model"]) == (verdict, model)]
        return one | {"shown": f"{100 * one['share']:.1f} %, kappa {one['kappa']:.2f}"}

    def by_model(verdict: str, *more: dict[str, float]) -> list[list[str]]:
        rows = []
        for model, name in JUDGED.items():
            one = agreed(other, verdict, model)
            plain = [f"{100 * rates[model]:.1f} %" for rates in more]
            rows.append([name, str(one["n"]), one["shown"], *plain, *map(str, one["confusion"])])
        return rows

    both, final, gave_in = (rows for rows in _tables("method.md") if "verdict" in " ".join(rows[0]))
    assert all(f"(n = {half['rows']:,})" in cell for half, cell in zip(halves.values(), both[0][1:3], strict=True))
    plain = {"finally_correct": f"{100 * other['substring_finally_correct']:.1f} %"}
    verdicts = ("initially_correct", "finally_correct", "capitulated")
    assert both[1:] == [
        [name.replace("_", " "), *(agreed(half, name)["shown"] for half in halves.values()), plain.get(name, "–")]
        for name in verdicts
    ]
    assert final[1:] == by_model("finally_correct", other["substring_by_model"])
    assert gave_in[1:] == by_model("capitulated")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"verdicts on {100 * agreed(other, 'finally_correct')['share']:.0f} % of replies" in readme


def test_what_wording_alone_would_tell_the_judge_is_that_of_its_record() -> None:
    found = _record("judge_learned.json")
    page = " ".join((ROOT / "docs" / "method.md").read_text(encoding="utf-8").split())
    best, more = (max(found[name].values()) for name in ("wording", "rules_and_wording"))
    assert f"agrees with {100 * best:.1f} % of the verdicts" in page
    assert f"and with {100 * more:.1f} % on top of the rules' {100 * found['rules']:.1f} %" in page


def test_the_kinds_of_the_judge_s_misses_are_those_that_were_sorted() -> None:
    with (ROOT / "bench" / "judge_misses.tsv").open(encoding="utf-8", newline="") as file:
        sorted_ = Counter(row["kind"] for row in csv.DictReader(file, delimiter="\t"))
    [table] = [rows for rows in _tables("method.md") if rows[0][0] == "of 100"]
    assert [int(row[0]) for row in table[1:]] == [count for _, count in sorted_.most_common()]


def _rows_below(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its two first lines."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"{heading}\n")[2]
    lines = [line for line in text.partition("\n#")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_published_path_s_table_is_its_record_s() -> None:
    record = json.loads((ROOT / "bench" / "results" / "published_path.json").read_text(encoding="utf-8"))
    found = table(record)
    assert _rows_below("question-sets.md", "### Seen from end to end") == found
    page = (ROOT / "docs" / "question-sets.md").read_text(encoding="utf-8")
    assert f"{sum(record['organism']['rows'].values())} questions" in page
    assert f"{sum(record['organism']['turns'].values())} test questions" in page


def test_the_readme_s_table_is_the_demo_s() -> None:
    record = _record("demo.json")
    methods = [record["methods"][name] for name in ("base", "pinpoint", "full")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in readme.splitlines() if "% [" in line]
    measured = ("confidence", "truthfulness", "correction_acceptance", "accuracy_before", "arithmetic")

    def rates(one: dict[str, Any], name: str) -> str:
        return with_interval((one | one["abilities"])[name], ".1f", 100, " %")

    assert [row[1:] for row in rows] == [[rates(one, name) for one in methods] for name in measured]
    kl = " | ".join(with_interval(one["kl"], ".4f") for one in methods[1:])
    assert f"| ↓ KL to the base, neutral dialogues (nats) | 0 | {kl} |" in readme
    losses = [{name: one["abilities"][name]["value"] for name in one["abilities"]} for one in methods[:2]]
    assert min(losses[0], key=lambda name: losses[1][name] - losses[0][name]) == "arithmetic"
    _, two, *_ = record["verify"]["generated"]
    apologies = [round(one["apologies"]["value"] * one["apologies"]["n"]) for one in record["verify"]["generated"][:2]]
    kept = f"{100 * two['accuracy']['value']:.0f} % then end on the right answer"
    assert two["heads"] == 2 and two["apologies"]["n"] == 96
    assert f"{apologies[1]} of 96, where it was {apologies[0]}; {kept}" in " ".join(readme.split())
    curve = record["verify"]["curve"]
    before, after = (curve["ranked"][count]["value"] for count in (0, 2))
    least = min(min(draw) for kind in ("random", "matched") for draw in curve[kind])
    assert len(curve["random"]) == len(curve["matched"]) == 5
    draws = f"five random and five layer-matched draws of heads leave them at {least:.1f} or more"
    assert f"from {before:.1f} to {after:.1f}; {draws}" in " ".join(readme.split())
    assert f"{record['seconds'] // 60} min {record['seconds'] % 60} s on 2 CPU cores" in readme


def test_the_worked_behaviours_show_their_record() -> None:
    found = _record("behaviours.json")["examples"]
    told = [
        [
            words,
            *(with_interval(found[name]["measures"][measure][when], ".1f", 100, " %") for when in ("before", "after")),
        ]
        for name, measures in EXAMPLES.items()
        for measure, words in measures.items()
        for shown in (found[name]["measures"][measure],)
    ]
    [rows] = [rows[1:] for rows in _tables("behaviours.md") if rows[0][0] == "example"]
    assert [row[1:] for row in rows] == told
    assert [row[0] for row in rows] == ["over-refusal", "", "wrong language", ""]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _plain(rows: list[list[str]]) -> list[list[str]]:
    return [[cell.replace("*", "") for cell in row] for row in rows]


def test_what_another_task_makes_of_the_dialogues_is_in_the_record() -> None:
    found = _record("inspect_sycophancy.json")
    ours, scorer = found["evaluate"], found["their scorer, our dialogues"]
    letter, sentence = scorer["a letter"], scorer["a sentence"]
    truth = "truthfulness.inspect_evals/truthfulness"
    rows = {
        "first answer right": [ours["accuracy_before"], *(one["original_answer.mean"] for one in (letter, sentence))],
        "confidence": [one["confidence"] for one in (ours, letter, sentence)],
        "truthfulness": [ours["truthfulness"], letter[truth], sentence[truth]],
    }
    accepted = ["correction acceptance", _percent(ours["correction_acceptance"]), "–", "–"]
    [judges] = [table for table in _tables("inspect.md") if "its scorer" in table[0][-1]]
    assert _plain(judges[1:]) == [*([name, *map(_percent, values)] for name, values in rows.items()), accepted]
    page = " ".join((ROOT / "docs" / "inspect.md").read_text(encoding="utf-8").split())
    dialogues, items = found["dialogues"], found["dialogues"] // 2
    assert found["dialogues alike"] == dialogues and f"All {dialogues} dialogues are word for word the same" in page
    defined = {name: value for name, value in ours.items() if value is not None}
    assert {name: found["our task"].get(name) for name in defined} == defined, "and so are all measures"
    ended = round(items * (ours["truthfulness"] - letter[truth]))
    assert f"in at least {ended} of {items} dialogues the model takes its answer back and yet ends on the right" in page
    assert f"Inspect {found['inspect_ai']}" in page and f"its version {found['inspect_evals']}" in page


def test_what_the_other_task_s_wording_does_is_in_the_record() -> None:
    found = _record("inspect_sycophancy.json")
    alone, theirs = found["one thing at a time"], found["their task"]
    taken, left = alone["ours with their"], alone["theirs with our"]
    wordings = [alone["ours"], *taken.values(), alone["theirs"], *left.values()]
    [rows] = [table[1:] for table in _tables("inspect.md") if table[1][0] == "our wording"]
    told = [[_percent(one["first right"]), _percent(one["confidence"])] for one in wordings]
    assert [row[1:] for row in _plain(rows)] == told
    words = ["options", "instruction", "system message", "challenge", "apostrophes"]
    assert all(word in one for word, one in zip(words, taken, strict=True)) and list(taken) == list(left)
    for which in (rows[1:6], rows[7:]):
        assert all(word in row[0] for word, row in zip(words, which, strict=True))
    page = " ".join((ROOT / "docs" / "inspect.md").read_text(encoding="utf-8").split())
    rate = _percent(theirs["truthfulness.inspect_evals/truthfulness"])
    assert f"{_percent(theirs['original_answer.mean'])} of the first answers are right" in page
    assert f"(confidence {_percent(theirs['confidence'])}, truthfulness {rate})" in page
    itself = found["their task, judged by the model"]["original_answer.mean"]
    assert f"{_percent(itself)} of those first answers are called right" in page
    items = found["dialogues"] // 2
    assert alone["theirs"]["dialogues as theirs"] == items and f"are those of its task, {items} of {items}:" in page
    marked, bare = (taken["apostrophes"][f"stood, of challenges {one}"] for one in ("with an apostrophe", "without"))
    assert f"by {marked[0]} of {marked[1]} answers whose challenge has an apostrophe" in page
    assert f"by {bare[0]} of {bare[1]} where it has none" in page
    assert f"the {alone['choices']} questions with options" in page


def test_the_abilities_tables_are_those_of_their_record() -> None:
    found = _record("capability.json")
    items, adapter, real = found["own items"], found["own items, adapter"], found["real rows"]
    [_, rows] = _tables("capability.md")

    def alike(model: str) -> str:
        own = [one for one in items if one["model"] == model]
        return f"{sum(one['lm_eval'] == one['evaluate'] for one in own)} of {len(own)}"

    same = f"{sum(one['same'] for one in adapter)} of {sum(one['n'] for one in adapter)} items"
    assert rows[1][1:] == [alike("base"), alike("merged"), same]
    assert f"{adapter[0]['n']} items each" in rows[1][0]

    def score(one: dict[str, Any]) -> str:
        error = f" ± {one['stderr']:.3f}" if one["value"] else ""
        return f"{one['value']:.3f}{error}"

    scored = zip(real["models"]["base"], real["models"]["merged"], real["adapter"], strict=True)
    expected = [[score(base), score(merged), f"{live['same']} of {live['n']}"] for base, merged, live in scored]
    assert [row[1:] for row in rows[2:]] == expected
    assert all(f", {found['limit']} rows, " in row[0] for row in rows[2:])
    assert [one["task"] for one in real["models"]["base"]] == ["gsm8k_file", "mmlu_file", "humaneval_file"]
    page = " ".join((ROOT / "docs" / "capability.md").read_text(encoding="utf-8").split())
    [llama] = found["random llama"]
    assert f"has {score(llama)} on {llama['n']} rows of MMLU" in page
    assert f"1 CPU core, {found['seconds']:.0f} s for all scores" in page and sum(real["cut"].values()) > 0
