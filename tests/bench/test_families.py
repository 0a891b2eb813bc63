"""The page of architectures: it tells the record, and the record is of the families that are tested, as they are."""

import json
import re

import pytest
import torch

import pinpoint
import tests.families
from bench.families import FEATURES, WINDOWS, counts, described, page
from pinpoint.models import headed, known_types
from pinpoint.models._registry import LAYOUTS
from tests.conftest import ROOT
from tests.families import FAMILIES, built, config_of, tiny
from tests.models import checks

RECORD = json.loads((ROOT / "bench/results/families.json").read_text(encoding="utf-8"))
WINDOWED = [row["family"] for row in RECORD["rows"] if "windows" in row["features"]]


def test_the_page_is_made_of_the_record() -> None:
    assert (ROOT / "docs/families.md").read_text(encoding="utf-8") == page(RECORD)


def test_the_record_is_of_the_tested_families() -> None:
    assert [row["family"] for row in RECORD["rows"]] == list(FAMILIES)


def test_what_the_record_says_without_measuring_is_so_today() -> None:
    for row in RECORD["rows"]:
        with torch.device("meta"):
            model = built(config_of(row["family"]))
        now = described(headed(model))
        assert {name: row[name] for name in now} == now, row["family"]


def test_every_recorded_difference_is_within_what_the_tests_allow() -> None:
    for row in RECORD["rows"]:
        assert row["locate"] < 1e-4 and row["verify"] < 1e-5 and row["tune"] < 1e-5, row["family"]
        assert row["bf16"] < checks.BFLOAT16_OF.get(row["family"], checks.BFLOAT16), row["family"]


def test_every_feature_is_in_some_family() -> None:
    assert {feature for row in RECORD["rows"] for feature in row["features"]} == set(FEATURES)


@pytest.mark.slow
@pytest.mark.parametrize("family", WINDOWED)
def test_the_windows_that_the_page_tells_of_bite(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = pinpoint.locate(tiny(family), None, checks.pairs()).effects
    config = config_of(family)
    text = config.get_text_config(decoder=True)
    for name in WINDOWS:
        if getattr(text, name, None):
            setattr(text, name, 64)
    monkeypatch.setattr(tests.families, "config_of", lambda _family: config)
    assert checks.relative(pinpoint.locate(tiny(family), None, checks.pairs()).effects, there) > 1e-2


def test_aliases_count_once() -> None:
    rows = RECORD["rows"]
    assert counts([*rows, *rows]).split(" types")[0] == counts(rows).split(" types")[0]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_layouts_and_types_are_counted_where_they_are_told(name: str) -> None:
    told = re.findall(r"\b(\d+) layouts, (\d+)\s+model types", (ROOT / name).read_text(encoding="utf-8"))
    assert told == [(str(len(LAYOUTS)), str(len(known_types())))]
