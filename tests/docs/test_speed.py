"""What the README says of speed is what the records say."""

import json
import re

from tests.conftest import ROOT


def test_the_ratios_to_other_libraries_are_those_of_the_record() -> None:
    shapes = json.loads((ROOT / "bench" / "results" / "peers.json").read_text())["shapes"].values()
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    told = re.search(
        r"takes (\d+) to (\d+) times as long as `pinpoint locate` on Llama-style models of (\d+) and (\d+) heads "
        r"\((\d+) to (\d+) times with (\d+) heads, (\d+) to (\d+) with (\d+)\).*? extrapolated from (\d+) to (\d+) "
        r"heads; the scores agree to (\S+) of the largest",
        text,
    )
    assert told is not None
    low, high, few, many, less, least, small, more, most, large, *sampled = (int(one) for one in told.groups()[:12])

    def ratios(*heads: int) -> list[int]:
        chosen = [one for one in shapes if one["shape"]["layers"] * one["shape"]["heads"] in heads]
        # pyvene, which is slower still, is on the page.
        every = [by for one in chosen for name, by in one["peers"].items() if not name.startswith("pyvene")]
        return sorted(round(by["ratio"]) for by in every)

    assert [ratios(few, many)[0], ratios(few, many)[-1]] == [low, high]
    assert [ratios(small)[0], ratios(small)[-1]] == [less, least]
    assert [ratios(large)[0], ratios(large)[-1]] == [more, most]
    assert {one["shape"]["layers"] * one["shape"]["heads"] for one in shapes} == {few, many, small, large}
    every = [by for one in shapes for by in one["peers"].values()]
    assert [pick(by["sampled_heads"] for by in every) for pick in (min, max)] == sampled
    assert max(by["difference"] for by in every) <= float(told[13])
