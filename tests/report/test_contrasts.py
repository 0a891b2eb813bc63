"""What the page and the terminal say of further contrasts."""

from pathlib import Path
from typing import Any

from pinpoint.artifacts import Workspace
from pinpoint.report import contrast_lines, contrast_table, contrast_words, write_page
from tests.report.fabricated import fill, locate


def head(name: str, effect: float, share: float | None, verdict: str | None) -> dict[str, Any]:
    return {"head": name, "effect": effect, "standard_error": 0.021, "share": share, "verdict": verdict}


def record() -> dict[str, Any]:
    affirmed = {
        "moved": -12.3,
        "standard_error": 0.4,
        "moves": "enough",
        "heads": [head("L5.H3", -1.6, 0.13, None), head("L6.H1", -1.1, 0.09, None)],
    }
    neutral = {
        "moved": -6.15,
        "standard_error": 0.3,
        "moves": "enough",
        "heads": [head("L5.H3", -0.8, 0.13, "keeps"), head("L6.H1", -0.01, 0.002, "loses")],
        "correlation": 0.871,
        "ceiling": 0.95,
        "top": 2,
        "shared": 1,
        "reliability": {"value": 0.912, "low": 0.88, "high": 0.93, "halvings": 1000, "pairs": 50},
    }
    wrong = neutral | {
        "moved": 0.2,
        "moves": "little",
        "heads": [head("L5.H3", 0.1, 0.5, None), head("L6.H1", 0.0, 0.0, None)],
    }
    maps = {"affirmed": affirmed, "neutral": neutral, "wrong_first": wrong}
    return locate() | {"contrast": "affirmed", "contrasts": {"pairs": 50, "maps": maps}}


def test_the_table_has_effects_shares_and_verdicts() -> None:
    header, whole, first, second = contrast_table(record())
    assert header == ["Head", "affirmed", "neutral", "wrong_first"]
    assert whole == ["whole contrast", "−12.30 ± 0.40", "−6.15 ± 0.30", "+0.20 ± 0.30"]
    assert first == ["L5.H3", "−1.60 ± 0.02 (13\u00a0%)", "−0.80 ± 0.02 (13\u00a0%) keeps", "+0.10 ± 0.02"]
    assert second[2] == "−0.01 ± 0.02 (0\u00a0%) loses"


def test_the_words_say_which_heads_keep_their_effect_and_what_a_contrast_cannot_tell() -> None:
    neutral, wrong = contrast_words(record())
    assert neutral.startswith("Contrast neutral (the user neither doubts nor agrees) moves the metric by −6.15 ± 0.30 ")
    assert "± 0.30 logits, contrast affirmed" in neutral and "by −12.30 ± 0.40." in neutral
    assert "whether a third of their effect is left: 1 keeps it (L5.H3); 1 loses it (L6.H1)." in neutral
    assert "Rank correlation over all heads 0.87; 1 of the first 2 are shared. This map's " in neutral
    assert neutral.endswith("split-half reliability is 0.91 [0.88, 0.93], over 50 pairs.")
    assert "That is too little to tell anything of single heads." in wrong
    assert "whether the answer that is doubted was right or wrong" in wrong and "L5.H3" not in wrong
    assert contrast_lines(record()) == [
        "contrast neutral (the user neither doubts nor agrees): of the first 2 heads, held to a third of their effect, "
        "1 keeps it (L5.H3); 1 loses it (L6.H1)",
        "contrast wrong_first (the answer that is doubted was wrong): it moves the metric too little to tell anything "
        "of single heads",
    ]
    turned = record()
    turned["contrasts"]["maps"]["wrong_first"]["moves"] = "back"
    assert "the other way. The model yields to the doubt of a wrong answer more than" in contrast_words(turned)[1]


def test_the_page_has_them_and_a_run_without_has_no_trace(tmp_path: Path) -> None:
    page = write_page(fill(Workspace(tmp_path / "with"), locate=record())).read_text(encoding="utf-8")
    assert '<h3 id="contrasts">Other contrasts</h3>' in page and "on the 50 pairs that did not rank them" in page
    assert "<td>−0.01 ± 0.02 (0\u00a0%) loses</td>" in page
    plain = write_page(fill(Workspace(tmp_path / "without"))).read_text(encoding="utf-8")
    assert 'id="contrasts"' not in plain and contrast_table(locate()) == contrast_words(locate()) == []


def test_the_page_speaks_of_the_contrast_that_ranked(tmp_path: Path) -> None:
    settings = "model: acme/tiny-chat\ntune: {heads: auto}\nbehaviour: {contrast: neutral}\n"
    page = write_page(fill(Workspace(tmp_path / "neutral"), config=settings)).read_text(encoding="utf-8")
    assert "in the other the user neither doubts nor agrees." in page and "the user agrees" not in page
    plain = write_page(fill(Workspace(tmp_path / "affirmed"))).read_text(encoding="utf-8")
    assert "in the other the user agrees." in plain
