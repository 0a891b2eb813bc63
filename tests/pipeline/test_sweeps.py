"""Tuning at several sizes: what is chosen, what is kept, and what `heads: validation` makes of it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pinpoint.config import resolve
from pinpoint.errors import ConfigError
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, sweep_run
from pinpoint.pipeline import _sweeps as sweeps
from pinpoint.pipeline._choice import chosen_heads
from pinpoint.pipeline._stages import key_of
from pinpoint.processes import Processes
from tests.pipeline.test_compare import main_exits

SETTINGS: dict[str, Any] = {
    "locate": {"pairs": 16},
    "tune": {"check_items": 8, "epochs": 0.1, "truthfulness": 0, "confidence": 0},
    "evaluate": {"neutral_items": 6},
    "sweep": {"counts": [1, 3], "shares": [0.5, 1]},
}


def point(heads: int, rate: float, kl: float, reached: bool) -> dict[str, Any]:
    return {"heads": heads, "metrics": {"truthfulness": rate, "confidence": 0.9, "kl": kl}, "reached": reached}


def run_of(folder: Path, **more: Any) -> Run:
    return Run(resolve(str(shipped()["yesman"]), None, SETTINGS | more), folder)


def test_of_what_reaches_the_targets_the_least_shift_is_chosen_then_fewer_heads() -> None:
    points = [point(1, 0.7, 0.001, False), point(8, 0.95, 0.004, True), point(2, 0.9, 0.004, True)]
    assert sweeps.chosen_count(points, 64) == 2
    assert sweeps.chosen_count([*points, point(4, 0.9, 0.003, True)], 64) == 4


def test_where_nothing_reaches_them_the_higher_rate_is_chosen() -> None:
    points = [point(1, 0.7, 0.001, False), point(2, 0.8, 0.009, False), point(4, 0.8, 0.002, False)]
    assert sweeps.chosen_count(points, 64) == 2


def test_no_more_heads_are_chosen_than_the_settings_allow() -> None:
    points = [point(2, 0.9, 0.004, True), point(8, 0.95, 0.001, True)]
    assert sweeps.chosen_count(points, 4) == 2
    with pytest.raises(ConfigError, match="no number of heads to try is at most 1"):
        sweeps.chosen_count(points, 1)


def test_an_unknown_sweep_and_too_many_heads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sweep 'sizes' is unknown. Use some of heads, data, pairs"):
        sweep_run(run_of(tmp_path), ["sizes"])
    run = run_of(tmp_path, sweep={"counts": [1, 65]})
    run.do("locate")
    with pytest.raises(ConfigError, match="65 heads are more than the 64 there are"):
        sweep_run(run, ["heads"])
    assert not (tmp_path / "sweep" / "sweep.json").exists()


def test_pairs_alone_need_to_know_how_many_heads_are_to_agree(tmp_path: Path) -> None:
    run = run_of(tmp_path, tune={"heads": "auto"})
    run.do("locate")
    with pytest.raises(ConfigError, match="how many heads are to agree is not known"):
        sweep_run(run, ["pairs"])
    found = sweep_run(run_of(tmp_path, tune={"heads": 5}), ["pairs"])
    assert found["pairs"]["heads"] == 5


def test_numbers_that_may_not_be_chosen_are_not_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, sweep={"counts": [1, 2, 8]})
    run.do("locate")
    tried: list[int] = []

    def tune(run: Run, count: int, share: float) -> dict[str, Any]:
        tried.append(count)
        return point(count, 0.9, 0.001 * count, True)

    monkeypatch.setattr(sweeps, "_tuned", tune)
    assert sweeps.swept_count(run, 4) == 1
    assert tried == [1, 2]


def test_one_kind_after_another_keeps_what_the_others_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(tmp_path, tune={"heads": "auto"})
    run.do("locate")
    monkeypatch.setattr(sweeps, "_tuned", lambda _run, count, share: point(count, 0.9, 0.001 * count, True))
    monkeypatch.setattr(sweeps, "_by_pairs", lambda _run, count: {"heads": count})
    heads = sweep_run(run, ["heads"])
    both = sweep_run(run, ["pairs"])
    assert both["heads"] == heads["heads"] and both["chosen"] == heads["chosen"] == 1 and both["pairs"] == {"heads": 1}
    assert sweep_run(run, ["pairs"])["heads"] == heads["heads"]
    other = run_of(tmp_path, tune={"heads": "auto"}, seed=1)
    with pytest.raises(ConfigError, match="how many heads are to agree is not known"):
        sweep_run(other, ["pairs"])


def test_several_processes_are_sent_to_the_sweep_first(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.do("locate")
    run.processes = Processes(rank=0, count=2)
    with pytest.raises(ConfigError, match="Run `pinpoint sweep` first, without a launcher"):
        sweeps.swept_count(run, 64)


def test_the_choice_depends_on_the_numbers_tried_only_where_it_is_by_validation(tmp_path: Path) -> None:
    keys = {
        (str(heads), counts): key_of(run_of(tmp_path, tune={"heads": heads}, sweep={"counts": counts}), "tune")
        for heads in (2, "validation")
        for counts in ((1,), (1, 2))
    }
    assert keys["2", (1,)] == keys["2", (1, 2)]
    assert keys["validation", (1,)] != keys["validation", (1, 2)]


@pytest.mark.slow
def test_a_sweep_is_shown_kept_and_gives_the_heads_to_tune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, out = tmp_path / "settings.yaml", tmp_path / "run"
    settings.write_text(json.dumps(SETTINGS))
    command = ["pinpoint", "sweep", "yesman", "--config", str(settings), "--out", str(out), "-q"]
    monkeypatch.setattr(sys, "argv", [*command, "--json"])
    main_exits(0)
    found = json.loads(capsys.readouterr().out)
    assert [one["heads"] for one in found["heads"]] == [1, 3]
    few, every = found["data"]
    assert (few["questions"], few["steps"]) == (every["questions"] // 2, every["steps"])
    assert {one["trainable_parameters"] for one in found["heads"]} == {16_384, 49_152}
    assert found["chosen"] == sweeps.chosen_count(found["heads"], 64)
    assert found["pairs"]["rows"][-1]["pairs"] == 8

    made: list[int] = []
    own = sweeps.fit_heads
    monkeypatch.setattr(sweeps, "fit_heads", lambda *a, **k: made.append(len(a[2])) or own(*a, **k))
    monkeypatch.setattr(sys, "argv", command)
    main_exits(0)
    printed = capsys.readouterr().out
    assert made == []
    assert f"* {found['chosen']} heads: what --heads validation tunes" in printed
    page = (out / "sweep" / "sweep.html").read_text(encoding="utf-8")
    assert "How many pairs to rank by" in page
    assert (out / "sweep" / "sweep.md").read_text(encoding="utf-8").count("| --- |") == 3

    run = run_of(out, tune=SETTINGS["tune"] | {"heads": "validation"})
    assert chosen_heads(run) == list(run.ranking()[: found["chosen"]])
    assert made == []
