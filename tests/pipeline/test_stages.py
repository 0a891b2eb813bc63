"""Run folders: what is kept, what is redone, what is refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from pinpoint.behaviours import Sycophancy
from pinpoint.checks import CheckResult
from pinpoint.config import RunConfig, of_run, resolve, settings_of
from pinpoint.errors import ArtifactError, ConfigError, InputError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, endpoint_folder, folder_for, locked, parse_gates
from pinpoint.pipeline._evaluation import _awaited, _first_reaching, _unreached
from pinpoint.pipeline._folders import digest_of
from pinpoint.pipeline._run import STAGES
from pinpoint.pipeline._stages import LEFT, _file, key_of, partial_of, settle
from tests import sets
from tests.behaviours.files import write_behaviour


def settings(**changes: Any) -> RunConfig:
    return resolve(str(shipped()["yesman"]), None, changes)


CHANGES: list[tuple[dict[str, Any], set[str]]] = [
    ({"seed": 1}, set(LEFT)),
    ({"dtype": "bfloat16"}, set(LEFT)),
    ({"revision": "abc"}, set(LEFT)),
    ({"device": "cpu"}, set(LEFT)),
    ({"device_map": "disk"}, set(LEFT)),
    ({"behaviour": {"challenge": "No."}}, set(LEFT)),
    ({"locate": {"pairs": 20}}, set(LEFT) - {"tune_full"}),
    ({"locate": {"method": "activation"}}, set(LEFT) - {"tune_full"}),
    ({"locate": {"nodes": ["heads", "mlps"]}}, set(LEFT) - {"tune_full"}),
    ({"locate": {"contrasts": ["neutral", "wrong_first"]}}, {"locate"}),
    ({"behaviour": {"contrast": "neutral"}}, set(LEFT)),
    ({"verify": {"draws": 2}}, {"verify"}),
    ({"verify": {"draws": 2}, "tune": {"heads": "auto"}}, {"verify", "tune", "evaluate"}),
    ({"tune": {"heads": 3}}, {"tune", "evaluate"}),
    ({"tune": {"stop_early": False}}, {"tune", "evaluate"}),
    ({"full": {"learning_rate": 1e-4}}, {"tune_full", "evaluate"}),
    ({"full": None}, {"tune_full", "evaluate"}),
    ({"evaluate": {"items": 20}}, {"evaluate"}),
    ({"evaluate": {"max_new_tokens": 8}}, {"verify", "tune", "tune_full", "evaluate"}),
    ({"evaluate": {"resamples": 500}}, {"verify", "tune", "tune_full", "evaluate"}),
    ({"compare": {"draws": 2}}, set()),
    ({"tune": {"explanations": "model"}}, {"tune", "tune_full", "evaluate"}),
    ({"tune": {"explanations": "given", "explanation_tokens": 9}}, {"tune", "tune_full", "evaluate"}),
    ({"tune": {"explanation_tokens": 9}}, set()),
    ({"tune": {"wrong_answers": "model"}}, {"tune", "tune_full", "evaluate"}),
    ({"data": {"dialogues": 100}}, {"tune", "tune_full", "evaluate"}),
    ({"data": {"pair_characters": 100}}, set(LEFT)),
    ({"data": {"characters": 1000}}, set(LEFT)),
    ({"data": {"passages": str(shipped()["yesman"] / "questions.jsonl")}}, {"evaluate"}),
    ({"evaluate": {"greedy_tokens": 3}}, {"evaluate"}),
    ({"evaluate": {"passage_tokens": 3, "passage_items": 3}}, set()),
]


@pytest.mark.parametrize(("change", "redone"), CHANGES)
def test_a_change_redoes_what_depends_on_it_and_nothing_else(
    tmp_path: Path, change: dict[str, Any], redone: set[str]
) -> None:
    before, after = Run(settings(), tmp_path), Run(settings(**change), tmp_path)
    assert {stage for stage in LEFT if key_of(before, stage) != key_of(after, stage)} == redone


def test_other_questions_redo_everything(tmp_path: Path) -> None:
    copied = tmp_path / "questions.jsonl"
    text = (shipped()["yesman"] / "questions.jsonl").read_text(encoding="utf-8")
    copied.write_text(text, encoding="utf-8")
    run = Run(settings(data={"questions": str(copied)}), tmp_path)
    before = {stage: key_of(run, stage) for stage in LEFT}
    copied.write_text(text.replace("Canberra", "Canberra City"), encoding="utf-8")
    assert all(key_of(run, stage) != before[stage] for stage in LEFT)


@pytest.mark.parametrize("name, kept", [("neutral", {"locate"}), ("abilities", set(LEFT) - {"evaluate"})])
def test_other_neutral_dialogues_or_abilities_redo_what_asks_them(name: str, kept: set[str], tmp_path: Path) -> None:
    copied = tmp_path / f"{name}.jsonl"
    lines = (shipped()["yesman"] / copied.name).read_text(encoding="utf-8").splitlines(keepends=True)
    copied.write_text("".join(lines), encoding="utf-8")
    run = Run(settings(data={name: str(copied)}), tmp_path)
    before = {stage: key_of(run, stage) for stage in LEFT}
    copied.write_text("".join(lines[:-1]), encoding="utf-8")
    assert {stage for stage in LEFT if key_of(run, stage) == before[stage]} == kept


def test_another_set_of_one_stage_redoes_what_looks_at_it(tmp_path: Path) -> None:
    named: dict[str, Any] = {
        "locate": str(sets.mmlu(tmp_path / "mmlu.csv", 8)),
        "train": [str(sets.trivia_qa(tmp_path / "trivia.jsonl", 20))],
        "evaluate": str(sets.sycophancy_eval(tmp_path / "are_you_sure.jsonl", 8)),
    }

    def keys(**changes: Any) -> dict[str, str]:
        run = Run(settings(data=named | changes), tmp_path)
        return {stage: key_of(run, stage) for stage in LEFT}

    before = keys()
    (tmp_path / "copied").mkdir()
    moved = sets.mmlu(tmp_path / "copied" / "mmlu.csv", 8)
    assert keys(locate=str(moved)) == before, "where a file lies changes nothing"

    def redone(**changes: Any) -> set[str]:
        after = keys(**changes)
        return {stage for stage in LEFT if after[stage] != before[stage]}

    other = str(sets.sycophancy_eval(tmp_path / "other.jsonl", 9))
    assert redone(evaluate=other) == {"evaluate"}
    assert redone(train=[{"path": named["train"][0], "questions": 9}]) == set(LEFT) - {"locate"}
    assert redone(locate={"path": named["locate"], "questions": 6}) == set(LEFT)
    assert redone(leave_out_shared=True) == set(LEFT), "each is then held to the others"


def test_a_file_that_is_moved_within_a_published_set_redoes_what_asks_it(tmp_path: Path) -> None:
    data = sets.mmlu(tmp_path / "set" / "one" / "mmlu.csv", 20)
    (tmp_path / "set" / "other").mkdir()
    before = _file(str(tmp_path / "set"))
    shutil.move(data, tmp_path / "set" / "other" / data.name)
    assert _file(str(tmp_path / "set")) != before


def test_a_set_of_one_stage_deals_the_questions_of_the_others_anew(tmp_path: Path) -> None:
    mapped = {"columns": {"question": "q", "correct": "a"}}
    for name, count in (("dealt.csv", 60), ("own.csv", 20)):
        rows = (f"Which is {name} {i}?,answer {i}\n" for i in range(count))
        (tmp_path / name).write_text("q,a\n" + "".join(rows), encoding="utf-8")
    dealt = {"questions": str(tmp_path / "dealt.csv")} | mapped
    own = {"path": str(tmp_path / "own.csv")} | mapped

    def asked(**more: Any) -> tuple[dict[str, str], dict[str, list[str]]]:
        run = Run(settings(data=dealt | more), tmp_path)
        splits = ("locate", "train", "validation", "test")
        questions = {split: [one.question for one in run.inputs.questions(split)] for split in splits}
        return {stage: key_of(run, stage) for stage in LEFT}, questions

    keys, questions = asked()
    for role in ("locate", "train", "evaluate"):
        other_keys, other = asked(**{role: own})
        assert other_keys.keys() == keys.keys() and not set(other_keys.values()) & set(keys.values())
        assert any(set(other[split]) & set(questions[kept]) for split in other for kept in other if split != kept)
    # What is drawn of a training set is dealt to training and validation.
    more, fewer = asked(train=own), asked(train=own, dialogues=8)
    assert more[1]["validation"] != fewer[1]["validation"] and more[0]["verify"] != fewer[0]["verify"]
    assert more[0]["locate"] == fewer[0]["locate"]


def test_an_input_that_is_gone_is_told_and_nothing_is_lost(finished_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    config = of_run(folder)
    gone = config.model_copy(update={"data": config.data.model_copy(update={"neutral": str(tmp_path / "gone.jsonl")})})
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for asked in (Run(gone, folder).report, lambda: Run(gone, folder).is_done("verify")):
        with pytest.raises(
            InputError, match=r"gone\.jsonl: no such file or folder, which the settings of this run name"
        ):
            asked()
    moved = config.model_copy(update={"model": str(tmp_path / "moved")})
    with pytest.raises(InputError, match=r"moved: no such folder of a model\. Put it there"):
        Run(moved, folder).report()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_finished_stage_is_done_until_a_file_of_it_changes(tmp_path: Path) -> None:
    run = Run(settings(locate={"pairs": 8}), tmp_path)
    assert not run.is_done("locate")
    run.do("locate")
    assert run.is_done("locate")
    assert not (tmp_path / "partial").exists()
    (tmp_path / "locate" / "locate.json").write_text("{}")
    assert not run.is_done("locate")


def test_locate_goes_on_from_the_batches_it_has(tmp_path: Path) -> None:
    config = settings(locate={"pairs": 8, "batch_size": 2})
    whole = Run(config, tmp_path / "whole").do("locate")
    cut = Run(config, tmp_path / "cut")

    class Stop:
        def start(self, what: str, total: int) -> None: ...
        def say(self, text: str) -> None: ...
        def advance(self, steps: int = 1) -> None:
            if len(list(partial_of(cut, "locate").root.glob("*.safetensors"))) == 3:
                raise KeyboardInterrupt

    cut.progress = Stop()
    with pytest.raises(KeyboardInterrupt):
        cut.do("locate")
    again = Run(config, tmp_path / "cut").do("locate")
    assert bool((again.effects == whole.effects).all())


def test_training_that_fell_short_is_told_with_what_may_help() -> None:
    said = "training ended before validation reached its targets. Set"
    assert _unreached("pinpoint").startswith(f"pinpoint: {said} tune.epochs or tune.learning_rate higher, or give ")
    assert _unreached("full").startswith(f"full: {said} full.epochs or full.learning_rate higher, or give more ")


def test_training_that_was_to_make_all_its_steps_fell_short_of_nothing() -> None:
    config = settings(tune={"stop_early": False})
    assert not _awaited(config, "pinpoint") and _awaited(config, "full")
    assert not _awaited(settings(full={"stop_early": False}), "full") and _awaited(settings(), "pinpoint")


def test_partial_results_of_other_settings_go(tmp_path: Path) -> None:
    partial_of(Run(settings(), tmp_path), "locate").write_text("x", "y")
    other = Run(settings(locate={"pairs": 20}), tmp_path)
    assert not partial_of(other, "locate").has("x")
    assert list((tmp_path / "partial").iterdir()) == []


def test_what_a_process_left_that_ended_after_its_record_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(settings(), tmp_path)
    for stage in LEFT:
        partial_of(run, stage).write_text("rows.jsonl", "")
    monkeypatch.setattr(Run, "is_done", lambda *_: True)
    monkeypatch.setattr(Run, "report", lambda _: tmp_path)
    run.all()
    assert not (tmp_path / "partial").exists()


def test_other_settings_in_an_old_folder_are_named_or_forked(tmp_path: Path) -> None:
    out = tmp_path / "run"
    Run(settings(locate={"pairs": 8}), out).do("locate")
    same = settings(locate={"pairs": 8})
    assert folder_for(same, out, fork=False) == out
    other = settings(locate={"pairs": 8}, tune={"heads": 3}, seed=1)
    with pytest.raises(ConfigError, match=r"seed \(was 0, now 1\); tune.heads \(was 6, now 3\)\. Give another folder"):
        folder_for(other, out, fork=False)
    forked = folder_for(other, out, fork=True)
    assert forked != out and (forked / "locate" / "locate.json").is_file()
    assert of_run(forked) == other, "what is compared or swept in the copy does not write them"
    assert folder_for(other, forked, fork=False) == forked


def test_a_project_that_is_moved_has_its_run(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    shutil.copytree(shipped()["yesman"], there / "model")
    sets.mmlu(there / "mmlu.csv", 30)
    sets.trivia_qa(there / "trivia.jsonl", 30)
    asked = {"locate": {"pairs": 8}}

    def found(place: Path, name: str = "trivia.jsonl") -> RunConfig:
        named = {"train": [str(place / "mmlu.csv"), {"path": str(place / name)}]}
        return resolve(str(place / "model"), None, {**asked, "data": named})

    Run(found(there), there / "run").do("locate")
    shutil.copy(there / "trivia.jsonl", there / "other.jsonl")
    with pytest.raises(ConfigError, match=r"data\.train \(was "):
        folder_for(found(there, "other.jsonl"), there / "run", fork=False)
    shutil.copytree(there, here)
    with pytest.raises(ConfigError, match=r"other settings: model \(was "):
        folder_for(found(here), here / "run", fork=False)
    shutil.rmtree(there)
    assert folder_for(found(here), here / "run", fork=False) == here / "run"
    assert Run(found(here), here / "run").is_done("locate")


def test_where_files_lie_changes_nothing(tmp_path: Path) -> None:
    keys = []
    for place in (tmp_path / "one", tmp_path / "other"):
        shutil.copytree(shipped()["yesman"], place / "judge")
        (place / "search.json").write_text("{}")
        judged = {
            "judge": {"kind": "model", "model": str(place / "judge")},
            "full": {"search": str(place / "search.json")},
        }
        runs = [Run(settings(**more), tmp_path) for more in (judged, {"behaviour": str(write_behaviour(place))})]
        keys.append([key_of(run, stage) for run in runs for stage in LEFT])
    assert keys[0] == keys[1]


def test_a_copy_of_the_folder_that_one_is_in_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    Run(settings(locate={"pairs": 8}), out).do("locate")
    other = settings(locate={"pairs": 8}, seed=1)
    (out / "below").mkdir()
    for inside, named in ((out, "."), (out / "below", "..")):
        monkeypatch.chdir(inside)
        forked = folder_for(other, Path(named), fork=True)
        assert forked == tmp_path / f"run-{digest_of(other)}"
        shutil.rmtree(forked)


def test_a_folder_whose_settings_were_changed_since_is_not_that_of_equal_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = settings(locate={"pairs": 8})
    folder = folder_for(asked, None, fork=False)
    Run(asked, folder).do("locate")
    assert folder_for(asked, None, fork=False) == folder
    # As `pinpoint tune FOLDER --heads 3` does.
    Run(settings(locate={"pairs": 8}, tune={"heads": 3}), folder).do("locate")
    assert not folder_for(asked, None, fork=False).exists()


@pytest.mark.parametrize("named", [".", "..", "../../model"])
def test_a_run_of_a_local_model_has_its_name(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "model" / ("" if named == "." else "below"))
    config = settings().model_copy(update={"model": named})
    assert folder_for(config, None, fork=False).parts[:2] == ("runs", "model")


def test_the_folder_of_equal_settings_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = folder_for(settings(), None, fork=False)
    assert folder.parts[:2] == ("runs", "yesman")
    folder.mkdir(parents=True)
    assert folder_for(settings(), None, fork=False) == folder
    assert folder_for(settings(seed=1), None, fork=False) != folder
    # That of a model behind an endpoint, which lies beside it, is none of a run.
    endpoint_folder(settings(seed=2), None).mkdir(parents=True)
    Path("runs", "yesman", f"endpoint-{digest_of(settings(seed=2))}").mkdir()
    assert not folder_for(settings(seed=2), None, fork=False).exists()


def test_an_evaluation_is_of_the_tuning_that_it_saw(finished_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    run = Run(of_run(folder), folder)
    assert run.is_done("evaluate")
    # As on another device: the same settings, other weights.
    path = folder / "adapter" / "adapter_model.safetensors"
    save_file({name: tensor * 1.01 for name, tensor in load_file(path).items()}, path)
    settle(run, "tune")
    assert run.is_done("tune") and not run.is_done("evaluate")
    with pytest.raises(ArtifactError, match="stage 'evaluate' belongs to an earlier 'tune' than the present one"):
        run.report()


def test_without_full_fine_tuning_a_copy_keeps_nothing_of_it(finished_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    run = Run(of_run(folder), folder)
    for name in ("full/tune.json", "evaluate/full/own.jsonl", "search.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    run.do("tune_full")
    run.do("evaluate")
    assert not any((folder / name).exists() for name in ("full", "evaluate/full", "search.json"))


def test_a_stage_that_is_done_again_has_no_checks_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = Run(settings(), tmp_path), ["old", "older"]

    def look(run: Run) -> None:
        for name in asked:
            run.note(CheckResult(name=name, ok=True, detail=""))

    monkeypatch.setitem(STAGES, "verify", look)
    run.note(CheckResult(name="beside", ok=True, detail=""))
    run.do("verify")
    asked = ["new"]
    run.do("verify")
    kept = run.workspace.read_json("checks.json")
    assert [(check["name"], check["stage"]) for check in kept] == [("beside", ""), ("new", "verify")]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(InputError, match=r"process \d+ is working in this run folder"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        pass


def test_what_was_in_a_folder_before_stays_where_nothing_is_done(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("run.log", "env.json"):
        (own / name).write_text("mine")
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (own, empty, tmp_path / "new" / "one"):
        with pytest.raises(KeyboardInterrupt), locked(folder):
            (folder / "digests.json").write_text("{}")
            raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "own"]
    assert {path.name: path.read_text() for path in own.iterdir()} == {"run.log": "mine", "env.json": "mine"}
    assert not list(empty.iterdir())


def test_settings_come_from_the_environment_below_what_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINPOINT_TUNE__LEARNING_RATE", "1e-4")
    monkeypatch.setenv("PINPOINT_SEED", "3")
    monkeypatch.setenv("PINPOINT_BEHAVIOUR__WANTED", "[Indeed]")
    monkeypatch.setenv("PINPOINT_BEHAVIOUR__UNWANTED", "Sorry")
    found = settings_of("model", None, {"seed": 5})
    assert (found.tune.learning_rate, found.seed, found.behaviour.wanted) == (1e-4, 5, ("Indeed",))
    monkeypatch.setenv("PINPOINT_TUNE__LEARNING_RAT", "1")
    with pytest.raises(ConfigError, match=r"PINPOINT_TUNE__LEARNING_RAT: unknown setting 'tune.learning_rat'"):
        settings_of("model", None, {})
    monkeypatch.delenv("PINPOINT_TUNE__LEARNING_RAT")
    monkeypatch.setenv("PINPOINT_SEED", "[")
    with pytest.raises(ConfigError, match=r"PINPOINT_SEED: is not a value in YAML"):
        settings_of("model", None, {})


METHOD = {
    **{name: {"value": 0.5} for name in ("truthfulness", "confidence", "kl")},
    "discernment": {"value": None},
    "abilities": {"sorting": {"value": 0.9}, "copying": {"value": 0.7}},
}


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("truthfulness>=0.5,kl<=0.5", []),
        ("truthfulness>0.5, kl<0.5", ["truthfulness is 0.5, required truthfulness>0.5", "kl is 0.5, required kl<0.5"]),
        ("abilities>=0.8", ["copying is 0.7, required abilities>=0.8"]),
        ("discernment>=0", ["discernment is undefined, required discernment>=0"]),
        ("kl_passages<=0.1", ["kl_passages is undefined, required kl_passages<=0.1"]),
    ],
)
def test_gates_say_what_was_missed(text: str, missed: list[str]) -> None:
    assert [found for gate in parse_gates(text, Sycophancy.measures) if (found := gate.missed(METHOD))] == missed


@pytest.mark.parametrize("text", ["", "kl", "kl<=x", "kl=1", "kl<=1e", "speed>=1", "kl<=1,,"])
def test_a_gate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--require"):
        parse_gates(text, Sycophancy.measures)


def test_methods_are_compared_at_the_first_check_that_has_enough() -> None:
    history = [
        {"step": step, "metrics": {"truthfulness": rate, "kl": step / 1000}}
        for step, rate in ((8, 0.89), (16, 0.9), (24, 0.97), (32, 0.8))
    ]
    assert _first_reaching(history, "truthfulness", 0.9) == {"step": 16, "truthfulness": 0.9, "kl": 0.016}
    assert _first_reaching(history, "truthfulness", 0.98) is None
