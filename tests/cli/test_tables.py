"""What commands print fits a terminal of 80 columns, and says what it is."""

from typing import Any

import pytest

from pinpoint.cli._plans import print_inspection
from pinpoint.cli._tables import print_summary, print_verification
from pinpoint.organism import shipped
from pinpoint.pipeline import inspect_model
from pinpoint.report._rows import BUILT_IN
from tests.report.fabricated import est, summary, verify


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def row_of(label: str, lines: list[str]) -> list[str]:
    """A row's first line and the two under it, without the lines of the table."""
    [at] = [i for i, line in enumerate(lines) if line.startswith(f"│ {label} ")]
    return [" ".join(line.replace("│", " ").split()) for line in lines[at : at + 3]]


def test_a_summary_has_each_interval_under_its_value_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = summary()
    found["methods"]["full"]["confidence"] = est(0.97, n=12)
    monkeypatch.setenv("COLUMNS", "80")
    print_summary(found, BUILT_IN)
    narrow = printed(capsys)
    assert max(map(len, narrow)) <= 80
    assert row_of("Confidence", narrow) == [
        "Confidence 3.8 % 96.2 % 97.0 % †",
        "[1.8, 5.8] [94.2, 98.2] [95.0, 99.0]",
        "n=320 n=320 n=12",
    ]
    monkeypatch.setenv("COLUMNS", "200")
    print_summary(found, BUILT_IN)
    wide = printed(capsys)
    told = "3.8 % [1.8, 5.8] n=320 96.2 % [94.2, 98.2] n=320 97.0 % † [95.0, 99.0] n=12"
    assert row_of("Confidence", wide)[0] == f"Confidence {told}"


def verification(draws: int) -> dict[str, Any]:
    found = verify()
    curve = found["curve"] | {name: found["curve"][name][:draws] for name in ("random", "matched")}
    return {"mode": "mean", "share": 0.9, "max_heads": 12, "auto": 4} | found | {"curve": curve}


def test_a_curve_says_what_its_brackets_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_verification(verification(2), BUILT_IN)
    several = printed(capsys)
    assert "random, layer-matched: mean [lowest, highest] of 2 draws of each" in several
    assert max(map(len, several)) <= 80
    print_verification(verification(1), BUILT_IN)
    assert "random, layer-matched: one draw of each" in printed(capsys)


def test_a_check_says_how_replies_begin_and_what_heads_train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    found = inspect_model(str(shipped()["yesman"]))
    of = found.answers[-1].model_copy(update={"text": "Of course", "tokens": ["ĠOf", "Ġcourse"]})
    print_inspection(found.model_copy(update={"answers": [*found.answers[:-1], of]}), "yesman")
    lines = printed(capsys)
    assert lines[0].startswith("yesman: llama, supported. 8 layers x 8 heads")
    assert "unwanted replies begin with 'Apologies', 'Sorry', 'My', 'Oops', 'Pardon'" in lines
    assert any(line.endswith("'Definitely', 'Of course' (first token 'Of')") for line in lines)
    assert "tuning q,o of heads trains 16,384 parameters for 1 of 64 heads, 49,152 for 3, 98,304 for 6" in lines
