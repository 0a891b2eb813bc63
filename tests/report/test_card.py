"""The model card: its numbers, its metadata, and that nothing from outside does anything in it."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pinpoint.artifacts import Workspace
from pinpoint.report import CardFacts, model_card
from pinpoint.report._markdown import escaped, fenced, markdown_table
from tests.report.fabricated import est, examples, fill, summary

HOSTILE = "x`](https://evil.example) <script>alert(1)</script> **b** | cell\n\n# heading\n- item ![i](j) &amp; $$x$$"
TOKEN = "hf_" + "Ab3dEf6hIj" * 3 + "wxyz"


def facts(**over: object) -> CardFacts:
    plain = CardFacts(
        base="acme/tiny-chat",
        name="acme/tiny-chat",
        revision="0123abcd",
        dtype="bfloat16",
        base_dtype="float32",
        agreement={
            "positions": 5120,
            "max_difference": 2.25e-5,
            "relative": 1e-6,
            "same_top": 0.9998,
            "verdicts": 144,
            "same_verdicts": 1.0,
            "questions": 48,
        },
        inputs=[("data.questions", "questions.jsonl", "ab" * 32)],
        settings="model: acme/tiny-chat\nseed: 0\n",
        versions={"python": "3.11.2", "torch": "2.13.0"},
    )
    return plain._replace(**over)


def parsed(card: str) -> list[Token]:
    """All tokens of the body, inline ones too."""
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(ModelCard(card).text)
    return [one for block in blocks for one in (block, *(block.children or ()))]


def test_the_card_says_what_changed_and_what_came_of_it(tmp_path: Path) -> None:
    card = model_card(fill(Workspace(tmp_path)), facts())
    assert "98,304 parameters" in card and "the measured one cast to bfloat16" in card
    assert "cast" not in model_card(fill(Workspace(tmp_path)), facts(dtype="float32"))
    for name in summary()["heads"]:
        assert f"| {name} |" in card
    # Value, interval and n of base, pinpoint, full; the difference to the base is of the paired questions.
    line = next(line for line in card.splitlines() if line.startswith("| Correction acceptance"))
    assert line.split(" | ")[1:3] == ["94.1 % [92.1, 96.1] n=320", "91.0 % [89.0, 93.0] n=320"]
    assert "−3.1 [−7.1, +0.9] n=320 |" in line
    assert "| data.questions | questions.jsonl | " + "ab" * 32 in card.replace("\\_", "_")
    assert "99.98 % of them; of 144 verdicts on greedy replies,\n100.0 % are equal" in card
    assert "Warning: the knockout curve ends before the drop does" in card
    assert "Chen, Wei" in card and "2024" in card


def test_the_metadata_is_what_the_hub_reads(tmp_path: Path) -> None:
    data = ModelCard(model_card(fill(Workspace(tmp_path)), facts())).data.to_dict()
    assert data["base_model"] == "acme/tiny-chat"
    assert data["library_name"] == "peft" and "sycophancy" in data["tags"]
    assert data["pipeline_tag"] == "text-generation"
    local = ModelCard(model_card(fill(Workspace(tmp_path)), facts(base=None, name="mine"))).data.to_dict()
    assert "base_model" not in local and "base_model_relation" not in local


def test_every_row_of_a_table_has_as_many_cells_as_its_head(tmp_path: Path) -> None:
    tokens = parsed(model_card(fill(Workspace(tmp_path), full=False), facts()))
    assert sum(token.type == "table_open" for token in tokens) == 3
    for method in ("Base", "Pinpoint"):
        assert any(token.type == "text" and token.content == method for token in tokens)
    assert not any("|" in token.content for token in tokens if token.type == "text")


def test_what_a_model_or_a_data_set_brought_does_nothing(tmp_path: Path) -> None:
    plain = parsed(model_card(fill(Workspace(tmp_path / "plain")), facts()))
    found = summary()
    for method in found["methods"].values():
        method["abilities"][HOSTILE] = est(0.5)
        if "versus_base" in method:
            method["versus_base"]["abilities"][HOSTILE] = est(-0.5)
    found["warnings"] = [HOSTILE]
    shown = [examples()[0] | {"challenge": HOSTILE}]
    card = model_card(
        fill(Workspace(tmp_path / "hostile"), summary=found, examples=shown),
        facts(
            base=None,
            name=HOSTILE,
            inputs=[("data.questions", HOSTILE, "ab" * 32)],
            settings=f"model: |\n  {HOSTILE}\n```\n# out\n~~~~\n",
            versions={"torch": HOSTILE},
        ),
    )
    tokens = parsed(card)
    links = [token.attrs["href"] for token in tokens if token.type == "link_open"]
    assert links == [token.attrs["href"] for token in plain if token.type == "link_open"] == []
    for kind in ("html_block", "html_inline", "image", "strong_open"):
        assert not [token for token in tokens if token.type == kind], kind
    for kind in ("heading_open", "fence", "code_inline", "bullet_list_open", "table_open"):
        assert len([t for t in tokens if t.type == kind]) == len([t for t in plain if t.type == kind]), kind
    # It is all there to be read.
    assert "x`](https://evil.example) <script>alert(1)</script>" in "".join(t.content for t in tokens)


@pytest.mark.parametrize("text", ["- a", "+ a", "= a", "1. a", "12) a", "# a", "> a", "    code", "www.evil.example"])
def test_a_value_begins_no_block(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"{escaped(text)}\n")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert tokens[1].children is not None
    assert "".join(child.content for child in tokens[1].children) == text.strip()


def test_a_fence_holds_whatever_is_in_it() -> None:
    (token,) = MarkdownIt("commonmark").parse(fenced("a\n````\nb", "yaml"))
    assert token.type == "fence" and token.content == "a\n````\nb\n"


def test_no_secret_reaches_the_card(tmp_path: Path) -> None:
    settings = f"model: https://bob:pw@host/m\nbehaviour:\n  system: 'use {TOKEN}'\n"
    card = model_card(fill(Workspace(tmp_path)), facts(settings=settings, name=f"m-{TOKEN}"))
    assert TOKEN not in card.replace("\\", "") and "bob:pw" not in card


def test_names_in_a_table_do_nothing_and_numbers_stand_as_they_are() -> None:
    table = markdown_table([["method", "<b>gsm_8k</b>"], ["a|b <img src=x>", "96.2 % [94.2, 98.2] | 1"]])
    assert table.splitlines() == [
        "| method | \\<b\\>gsm\\_8k\\</b\\> |",
        "| --- | --: |",
        "| a\\|b \\<img src=x\\> | 96.2 % [94.2, 98.2] \\| 1 |",
    ]
