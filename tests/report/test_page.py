import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import yaml

from pinpoint.artifacts import Workspace
from pinpoint.errors import ArtifactError
from pinpoint.report import Row, method_rows, write_page
from pinpoint.report._format import DASH, count, duration, number, percent, ratio
from pinpoint.report._html import _HERE as HERE
from pinpoint.report._parting import parting, with_partings
from pinpoint.report._rows import BUILT_IN
from pinpoint.report._tradeoff import tradeoffs
from pinpoint.report._words import auto_words, cost_words, drop_at, knockout_words, lead
from tests.report.fabricated import LAYERS, TOKENS, attention, est, examples, fill, locate, summary, tune, verify


class _Page(HTMLParser):
    """The tags of a page, its visible text, and its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0], parse_constant=pytest.fail)
        return found


def page(folder: Path, **over: Any) -> _Page:
    return _Page(write_page(fill(Workspace(folder), **over)).read_text(encoding="utf-8"))


def cells(rows: list[Row], label: str) -> dict[str, str]:
    return next(row.cells for row in rows if row.label == label)


def test_the_page_is_written_into_the_run_folder_and_recorded(tmp_path: Path) -> None:
    workspace = fill(Workspace(tmp_path))
    path = write_page(workspace)
    assert path == tmp_path / "report.html"
    assert workspace.has("report.html")
    assert write_page(workspace).read_bytes() == path.read_bytes()


def test_the_limits_name_the_first_words_that_were_found(tmp_path: Path) -> None:
    shares = {"ids": [5], "tokens": ["<b>"], "reference": 0.75, "counterfactual": 0.0}
    sides = {"unwanted": [{"text": "<b>Sorry"} | shares], "wanted": [{"text": "Yes"} | shares]}
    found = {"prompts": 32, "shared": [7], "shared_text": "I"} | sides
    html = write_page(fill(Workspace(tmp_path / "found"), locate=locate() | {"answers": found})).read_text()
    assert "<b>Sorry" not in html
    told = _Page(html).words
    assert "unwanted '<b>Sorry' (75% of references, 0% of counterfactuals); wanted 'Yes'" in told
    assert "measured after 'I', which both kinds begin with" in told
    assert "was not given, but found" not in page(tmp_path / "given").words


def test_the_page_says_how_to_run_it_again_and_how_to_compare(tmp_path: Path) -> None:
    said = page(tmp_path).words.partition("To reproduce")[2].partition("References")[0]
    commands = ("pinpoint run ", "--config config.yaml", "pinpoint reproduce reproduce.json")
    places = [said.index(command) for command in commands]
    assert places == sorted(places)


def test_the_first_screen_names_the_heads_that_were_changed(tmp_path: Path) -> None:
    told = summary()
    said = page(tmp_path / "few", summary=told).words
    assert "6 (9.4 %) were singled out (L5.H3, L6.H1, L4.H7, L6.H6, L5.H0, L3.H2), and only they were trained" in said
    told["heads"] = [f"L0.H{head}" for head in range(8)] + ["L1.H0", "L1.H1"]
    said = page(tmp_path / "many", summary=told).words
    assert "(L0.H0, L0.H1, L0.H2, L0.H3, L0.H4, L0.H5, L0.H6, L0.H7 and 2 more)" in said


def test_the_page_loads_nothing_from_outside(tmp_path: Path) -> None:
    found = page(tmp_path)
    policy = next(attrs["content"] for _, attrs in found.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "unsafe-inline' " not in policy.split("script-src")[1]
    assert not [attrs for _, attrs in found.tags if "src" in attrs or "srcset" in attrs]
    loaded = [attrs["href"] for tag, attrs in found.tags if tag != "a" and "href" in attrs]
    assert loaded == ["data:,"]
    links = [attrs["href"] or "" for tag, attrs in found.tags if tag == "a"]
    assert all(link.startswith(("#", "https://arxiv.org/abs/")) for link in links)
    style = (HERE / "page.css").read_text()
    assert "url(" not in style and "@import" not in style


def test_text_of_models_and_data_is_escaped_everywhere(tmp_path: Path) -> None:
    attack = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    told, where, talks = summary(), locate(), examples()
    told["model"] = attack
    told["warnings"] = told["checks"] = []
    told["checks"] = [{"name": attack, "ok": False, "detail": attack}]
    told["warnings"] = [attack]
    told["methods"]["base"]["abilities"][attack] = est(0.5)
    where["unit"] = where["metric"] = where["engine"] = attack
    for talk in talks[0]["methods"].values():
        talk |= {"first": attack, "reply": attack, "final_prompt": attack, "final": attack}
    talks[0] |= {"question": attack, "challenge": attack}
    found = page(
        tmp_path, summary=told, locate=where, examples=talks, config=f"model: '{attack}'\ntune: {{heads: 6}}\n"
    )
    assert len(found.scripts) == len([tag for tag, _ in found.tags if tag == "script"]) == 3
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert attack in found.text
    hover = found.figures["heads"]["data"][0]["text"][0][0]
    assert "&lt;script&gt;" in hover and "<script" not in hover


def test_a_page_that_is_passed_on_does_not_tell_where_files_lie(tmp_path: Path) -> None:
    told = summary()
    told["model"] = "/home/me/models/mine"
    settings = {
        "model": told["model"],
        "data": {"questions": "/home/me/q.jsonl", "train": [{"path": "/home/me/t.csv", "questions": 3}]},
        "behaviour": {"system": "/no_think", "challenge": "Sure? and/or not?"},
        "tune": {"heads": 6},
    }
    words = page(tmp_path, summary=told, config=yaml.safe_dump(settings)).words
    assert "pinpoint run mine" in words and "/home" not in words
    for kept in ("questions: q.jsonl", "path: t.csv", "/no_think", "Sure? and/or not?"):
        assert kept in words


def test_a_check_that_failed_is_told_with_what_can_be_done(tmp_path: Path) -> None:
    told = summary()
    failed = {"name": "heads stay first", "ok": False, "detail": "half do", "mend": "Give more pairs."}
    told["checks"] = [failed, {"name": "it moves", "ok": True, "detail": "by 3", "mend": "Look at it."}]
    words = page(tmp_path, summary=told).words
    assert "✗ failedheads stay first: half do. Give more pairs." in words
    assert "✓ passedit moves: by 3" in words and "Look at it." not in words


def test_undefined_estimates_print_as_a_dash_and_never_as_zero(tmp_path: Path) -> None:
    told = summary()
    for name in ("confidence", "truthfulness", "correction_acceptance", "discernment", "kl"):
        told["methods"]["pinpoint"][name] = est(None)
    told["methods"]["pinpoint"]["versus_base"]["correction_acceptance"] = est(None)
    rows = method_rows(told)
    for label in (
        "Confidence",
        "Truthfulness",
        "Correction acceptance",
        "Discernment",
        "KL to the base (nats)",
    ):
        assert cells(rows, label)["pinpoint"] == DASH
    words = page(tmp_path, summary=told).words
    assert f"Now it takes a right answer back in {DASH} of the cases" in words
    assert "None" not in words.replace("None.", "")


def test_a_mean_without_an_interval_is_a_dash_beside_its_n() -> None:
    told = summary()
    told["methods"]["base"]["confidence"] = {"value": 0.5, "low": None, "high": None, "n": 1}
    assert cells(method_rows(told), "Confidence")["base"] == "– n=1"


def test_a_run_without_full_fine_tuning_has_no_trace_of_it_in_tables_and_figures(tmp_path: Path) -> None:
    found = page(tmp_path, full=False)
    assert "Full fine-tuning − base" not in found.text
    assert len(found.figures["training"]["data"]) == 1
    told = summary()
    told["methods"].pop("full")
    assert all(set(row.cells) == {"base", "pinpoint"} for row in method_rows(told))


def test_method_rows_are_formatted_for_reading() -> None:
    rows = method_rows(summary())
    assert cells(rows, "Confidence") == {
        "base": "3.8 % [1.8, 5.8] n=320",
        "pinpoint": "96.2 % [94.2, 98.2] n=320",
        "full": "97.0 % [95.0, 99.0] n=320",
    }
    assert cells(rows, "KL to the base (nats)")["pinpoint"] == "0.003412 [0.003071, 0.003753] n=200"
    assert cells(rows, "Discernment")["base"] == "+0.5 points [−1.5, +2.5] n=320"
    assert cells(rows, "Ability: word length")["full"] == "91.0 % [89.0, 93.0] n=150"
    assert cells(rows, "Trained parameters") == {"base": DASH, "pinpoint": "98,304", "full": "3,212,288"}
    assert cells(rows, "Training time") == {"base": DASH, "pinpoint": "42 s", "full": "2 min 11 s"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (number(-0.0001, "+.1f"), "0.0"),
        (number(-1.25, ".2f"), "−1.25"),
        (number(0.0, "#.4g"), "0"),
        (percent(None), DASH),
        (percent(1.0), "100.0\u00a0%"),
        (count(None), DASH),
        (duration(9.96), "10 s"),
        (duration(3899.6), "1 h 5 min"),
        (ratio(1, 12345), "0.0081\u00a0%"),
        (ratio(1, 0), DASH),
    ],
)
def test_numbers_as_text(text: str, wanted: str) -> None:
    assert text == wanted


def test_the_figures_are_valid_plotly_and_name_only_colours_of_the_style_sheet(tmp_path: Path) -> None:
    found = page(tmp_path)
    assert list(found.figures) == ["heads", "knockout", "training", "tradeoff-kl", "tradeoff-ability"]
    drawn = {attrs["id"] for _, attrs in found.tags if (attrs.get("id") or "").startswith("figure-")}
    assert drawn == {f"figure-{name}" for name in found.figures}
    for figure in found.figures.values():
        go.Figure(figure)
    style = (HERE / "page.css").read_text()
    used = set(re.findall(r'"var\((--[a-z0-9-]+)\)"', found.scripts[0]))
    assert used and all(f"{name}:" in style for name in used)


def test_the_head_map_is_centred_on_zero_and_outlines_the_tuned_heads(tmp_path: Path) -> None:
    heatmap, outlines = page(tmp_path).figures["heads"]["data"]
    assert heatmap["zmid"] == 0 and heatmap["zmin"] == -heatmap["zmax"]
    assert len(heatmap["z"]) == LAYERS
    assert outlines["x"].count(None) == len(summary()["heads"])
    assert heatmap["text"][5][3] == (
        "<b>L5.H3</b><br>effect −1.600 logits (standard error 0.020)<br>rank 1 of 64<br>tuned"
    )


def test_every_figure_has_a_name_and_a_caption(tmp_path: Path) -> None:
    tags = page(tmp_path).tags
    ids = {attrs.get("id") for _, attrs in tags}
    figures = [attrs for tag, attrs in tags if tag == "figure"]
    assert len(figures) == 5 and all(attrs["aria-labelledby"] in ids for attrs in figures)
    plots = [attrs for _, attrs in tags if attrs.get("class") == "plot"]
    assert len(plots) == 5 and all(attrs["role"] == "img" and attrs["aria-label"] for attrs in plots)


def test_the_first_numbers_stand_with_their_intervals_and_counts(tmp_path: Path) -> None:
    words = page(tmp_path).words
    assert "3.8 % → after: 96.2 %" in words and "[1.8, 5.8] → [94.2, 98.2] n=320 → 320" in words


def test_what_the_metric_is_untouched_stands_with_its_error_and_its_pairs(tmp_path: Path) -> None:
    record = locate()
    told = page(tmp_path / "now").words
    assert f"it stands at +6.12 ± 0.31 logits on average over those {record['effect_pairs']}, ± one standard" in told
    del record["reference_standard_error"]
    assert "it stands at +6.12 logits on average over those" in page(tmp_path / "before", locate=record).words


def test_right_and_wrong_are_told_in_words(tmp_path: Path) -> None:
    words = page(tmp_path).words
    assert words.count("✗ wrong") == 3 and words.count("✓ right") == 9
    assert words.count("takes its answer back") == 3 and words.count("stands by its answer") == 3


def test_the_lead_says_what_was_wrong_and_what_was_changed() -> None:
    wrong, changed, outcome = lead(summary(), 64, "Sure?")
    assert "took its answer back in 96.2\u00a0% [94.2, 98.2] of 320 cases" in wrong
    assert "6 (9.4\u00a0%)" in changed and "98,304 of 3,212,288 parameters (3.1\u00a0%)" in changed
    assert "may be chance" in outcome and "0.003412 nats [0.003071, 0.003753] n=200" in outcome


def test_a_model_that_became_stubborn_is_called_so() -> None:
    told = summary()
    told["methods"]["pinpoint"]["versus_base"]["correction_acceptance"] = est(-0.3)
    assert "more stubborn" in lead(told, 64, None)[2]


def test_a_knockout_that_controls_match_is_not_called_proof() -> None:
    def conclusion(located_drop: float) -> str:
        return knockout_words(drop_at(verify(located_drop)["curve"], 6))[-1]

    assert "hangs on these heads" in conclusion(8.2)
    assert "not as proof" in conclusion(2.3)
    assert "not more than the controls show" in conclusion(1.0)
    assert "does not weaken the behaviour" in conclusion(-1.0)


def test_the_knockout_is_read_at_the_end_of_a_curve_shorter_than_the_tuned_heads(tmp_path: Path) -> None:
    assert drop_at(verify()["curve"], 99).heads == 12
    told = summary()
    told["heads"] = locate()["ranking"][:20]
    assert "More heads were tuned than the curve covers" in page(tmp_path, summary=told).words


def test_the_rule_of_auto_is_written_out() -> None:
    rule = auto_words(verify(), 6, "auto")
    assert "90\u00a0% of the drop between no heads and 12" in rule and "Here that is 6. These were tuned." in rule
    assert "It was not used: the settings ask for 4." in auto_words(verify(), 4, 4)
    assert "of the numbers tried, 4 did best on the validation questions" in auto_words(verify(), 4, "validation")
    assert "there is no drop" in auto_words(verify() | {"auto": None}, 4, 4)


def test_a_cheaper_full_fine_tuning_is_not_hidden() -> None:
    told = summary()
    assert cost_words(told)[-1].endswith("full fine-tuning is 9.7 times as far from the base.")
    told["matched_kl"]["full"]["kl"] = 0.000321
    assert "full fine-tuning is gentler" in cost_words(told)[-1]
    told["matched_kl"]["pinpoint"] = None
    assert cost_words(told)[0] == "Pinpoint reached 90.0\u00a0% truthfulness on the validation questions at no check."


def test_a_missing_artifact_is_named(tmp_path: Path) -> None:
    workspace = fill(Workspace(tmp_path))
    workspace.path("verify/verify.json").unlink()
    with pytest.raises(ArtifactError, match=r"verify\.json: is missing"):
        write_page(workspace)


def test_the_page_holds_where_the_tuned_and_the_first_heads_look_and_no_more(tmp_path: Path) -> None:
    workspace = fill(Workspace(tmp_path))
    without = _Page(write_page(workspace).read_text(encoding="utf-8"))
    attention(workspace)
    found = _Page(write_page(workspace).read_text(encoding="utf-8"))
    assert len(without.scripts) == 3 and "Where a head looks" not in without.text
    assert "attention on" not in without.figures["heads"]["data"][0]["text"][5][3]
    assert "attention on the challenge: 87.7\u00a0%" in found.figures["heads"]["data"][0]["text"][5][3]
    looks = json.loads(found.scripts[1], parse_constant=pytest.fail)
    assert set(looks["heads"]) == {*summary()["heads"], *locate()["ranking"][:10]}
    assert looks["heads"]["L5.H3"]["weights"] == [100, 0, 0, 0, 0, 0, 500, 250, 125, 25]
    assert (looks["tokens"], looks["apart"], looks["skipped"]) == (TOKENS, [5, 9], 0)
    buttons = [attrs for tag, attrs in found.tags if tag == "button"]
    assert [attrs["data-head"] for attrs in buttons] == list(looks["heads"])
    assert all(attrs["type"] == "button" and attrs["aria-pressed"] == "false" for attrs in buttons)


def test_of_a_long_dialogue_the_page_holds_the_end(tmp_path: Path) -> None:
    workspace = fill(Workspace(tmp_path))
    attention(workspace, [f"t{i} " for i in range(1000)])
    found = _Page(write_page(workspace).read_text(encoding="utf-8"))
    looks = json.loads(found.scripts[1])
    assert (looks["skipped"], looks["tokens"][0], len(looks["heads"]["L5.H3"]["weights"])) == (600, "t600 ", 400)
    assert "The first 600 tokens of this dialogue are left out. A head that has no use" in found.words
    assert "A head that has no use for a word looks at the very first token." not in found.words


def test_the_point_where_a_dialogue_parts_is_marked_once_a_side() -> None:
    talks = {
        "base": {"first": "Fe.", "reply": "Sorry, it is  Ir."},
        "pinpoint": {"first": "Fe.", "reply": "Sorry, no."},
    }
    parted = with_partings({"methods": talks}, ("first", "reply"))["partings"]
    assert parted["pinpoint"] == ("reply", "Sorry, ", "no.")
    assert parted["base"] == ("reply", "Sorry, ", "it is  Ir.")
    cut = parting({"reply": "Yes."}, {"reply": "Yes. It is."}, ("reply",))
    assert cut == ("reply", "Yes.", "")
    assert parting(talks["base"], talks["base"], ("first", "reply")) is None


def test_behaviour_is_drawn_against_divergence_and_against_the_ability_that_loses_most(tmp_path: Path) -> None:
    figures = tradeoffs(summary(), BUILT_IN)
    base, pinpoint, full = figures["tradeoff-kl"]["data"]
    assert (base["x"], pinpoint["x"], full["x"]) == ([0.0], [0.0034119], [0.04512])
    assert [one["y"] for one in (base, pinpoint, full)] == [[0.19], [0.94], [0.95]]
    lost = figures["tradeoff-ability"]["data"][1]
    assert lost["x"] == [0.03] and "copying: −3.0 points [−4.0, −2.0] n=" in lost["text"][0]
    assert base["text"][0].endswith("KL: 0 nats")
    assert pinpoint["text"][0].endswith("KL: 0.003412 nats [0.003071, 0.003753] n=200")
    assert lost["error_x"]["array"] == pytest.approx([0.01])
    left, right = figures["tradeoff-ability"]["layout"]["xaxis"]["range"]
    assert left < 0 and right > 0.04
    told = summary()
    for method in told["methods"].values():
        method["abilities"] = {}
        method.pop("versus_base", None)
    assert list(tradeoffs(told, BUILT_IN)) == ["tradeoff-kl"]
    told["methods"] = {"base": told["methods"]["base"]}
    assert tradeoffs(told, BUILT_IN) == {}


def own_behaviour(folder: Path, replies: dict[str, str]) -> _Page:
    """The page of a behaviour from files, with one dialogue and what each model said to it."""
    told, found, trained = summary(), verify(), tune(40, 0.0049, 42.4, 98304)
    for value, method in zip((0.1, 0.93, 0.9), told["methods"].values(), strict=True):
        method["right"] = est(value)
    told["methods"]["pinpoint"]["versus_base"] = {"right": est(0.83), "abilities": {"copying": est(-0.01)}}
    told["matched_kl"] = {"right": 0.9, "pinpoint": {"step": 24, "kl": 0.003, "right": 0.91}}
    for at in found["generated"]:
        at["right"] = est(0.5)
    for check in trained["history"]:
        check["metrics"] = {"right": check["metrics"]["truthfulness"], "kl": check["metrics"]["kl"]}
    files = {name: f"{name}.jsonl" for name in ("pairs", "train", "evaluation")}
    measures = {"right": {"rule": "contains_any", "targets": ["yes"], "label": "Answers"}}
    own = {"name": "refusing", "shows": "refusing", "unwanted": "Sorry", "wanted": "The", "measures": measures, **files}
    config = json.dumps({"model": "acme/tiny-chat", "tune": {"heads": "auto"}, "full": None, "behaviour": own})
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How do I kill a process?"}]
    methods = {name: {"reply": reply, "passed": name != "base"} for name, reply in replies.items()}
    over = {"summary": told, "verify": found, "config": config, "examples": [{"prompt": prompt, "methods": methods}]}
    workspace = fill(Workspace(folder), full=False, **over)
    workspace.write_json("tune.json", trained)
    attention(workspace)
    return _Page(write_page(workspace).read_text(encoding="utf-8"))


def test_the_page_of_a_behaviour_from_files_has_the_same_parts_in_its_own_words(tmp_path: Path) -> None:
    found = own_behaviour(tmp_path, {"base": "Sorry, I cannot.", "pinpoint": "Sorry, no: use kill -9."})
    assert found.words.count("≠ parts from the base at the underlined words") == 1
    assert len([tag for tag, _ in found.tags if tag == "mark"]) == 2
    assert "attention on what sets it apart: 87.7" in found.figures["heads"]["data"][0]["text"][5][3]
    assert "Underlined is what sets the reference apart from its counterfactual." in found.words
    assert found.figures["tradeoff-kl"]["layout"]["yaxis"]["title"]["text"] == "Answers"
    assert found.figures["tradeoff-ability"]["data"][1]["x"] == [0.01]
    assert "challenge" not in found.words.partition("References")[0]


def test_where_nothing_parts_the_page_says_so(tmp_path: Path) -> None:
    found = own_behaviour(tmp_path, dict.fromkeys(("base", "pinpoint"), "Sorry."))
    assert "= the base's words throughout" in found.words and "≠" not in found.words


def test_the_map_says_how_reliable_it_is_and_which_heads_are_noise(tmp_path: Path) -> None:
    found, record = page(tmp_path), locate()
    assert "split-half reliability of 0.972 [0.961, 0.981]" in found.words
    floor, under = record["noise"]["floor"], "under the noise floor"
    told = [under in text for row in found.figures["heads"]["data"][0]["text"] for text in row]
    expected = [abs(value) <= floor for row in record["mean"] for value in row]
    assert told == expected and any(told) and not all(told)
    assert f"{sum(told)} of the {len(told)} heads lie under it" in found.words
    plain = page(
        tmp_path / "before", locate={key: record[key] for key in record if key not in ("reliability", "noise")}
    )
    assert under not in json.dumps(plain.figures) and "split-half" not in plain.words
