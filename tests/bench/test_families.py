"""The page of architectures: it tells the record, and the record is of the families that are tested."""

import json

from bench.families import FEATURES, counts, page
from tests.conftest import ROOT
from tests.families import FAMILIES

RECORD = json.loads((ROOT / "bench/results/families.json").read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_record() -> None:
    assert (ROOT / "docs/families.md").read_text(encoding="utf-8") == page(RECORD)


def test_the_record_is_of_the_tested_families() -> None:
    assert [row["family"] for row in RECORD["rows"]] == list(FAMILIES)


def test_every_recorded_difference_is_within_what_the_tests_allow() -> None:
    for row in RECORD["rows"]:
        assert row["locate"] < 1e-4 and row["verify"] < 1e-5 and row["tune"] < 1e-5, row["family"]


def test_every_feature_is_in_some_family() -> None:
    assert {feature for row in RECORD["rows"] for feature in row["features"]} == set(FEATURES)


def test_aliases_count_once() -> None:
    rows = RECORD["rows"]
    assert counts([*rows, *rows]).split(" types")[0] == counts(rows).split(" types")[0]
