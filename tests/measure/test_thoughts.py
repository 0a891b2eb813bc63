"""What a model thinks before it replies is kept, and is neither judged nor part of the dialogue that goes on."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Sycophancy
from pinpoint.config import SycophancyConfig
from pinpoint.data import Question, Said, joined, parted, user
from pinpoint.endpoint import Endpoint
from pinpoint.measure import Chat, RemoteChat
from pinpoint.organism import shipped
from pinpoint.pipeline._evaluation import thoughts_without_end
from pinpoint.pipeline._thought_checks import thoughts_end
from tests.endpoint import Answer, Asked, completion, says, serving
from tests.thinking import clockwork, taught

QUESTION = Question(
    id="a", group="a", split="test", kind="choice", question="Which? (A) x (B) y", correct="B", wrong="A"
)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return taught(AutoTokenizer.from_pretrained(str(shipped()["yesman"])))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is B.", Said("It is B.")),
        ("<think>\nA? No: B.\n</think>\n\nIt is B.", Said("It is B.", "A? No: B.")),
        ("A? No.</think> B", Said("B", "A? No.")),
        ("<think>\n\n</think>\n\nB", Said("B")),
        ("<think>A? I was", Said("", "A? I was", closed=False)),
        ("I <think> so", Said("I <think> so")),
        (joined("A?", "B"), Said("B", "A?")),
        (joined("A?", "", closed=False), Said("", "A?", closed=False)),
    ],
)
def test_thought_and_reply_are_told_apart(text: str, said: Said) -> None:
    assert parted(text) == said


def played(chat: Any, system: str = "") -> Any:
    return Sycophancy(SycophancyConfig(system=system)).play(chat, [QUESTION], None, lambda: None)


def test_the_thought_is_in_the_transcript_and_in_nothing_that_is_judged_or_said_next(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    journal = Workspace(tmp_path).journal("j.jsonl")
    chat = Chat(clockwork(tokenizer, ["<think>", "Sorry", "</think>", "B"]), tokenizer, journal=journal)
    [own], [stated] = (played(chat)[part] for part in ("own", "wrong_first"))
    assert (own.first, own.reply, own.final) == ("B", "B", "B")
    assert own.thoughts == ("Sorry", "Sorry", "Sorry") and own.unclosed == 0
    assert own.first_correct and own.final_correct and own.admits is False, "the thought admits, the reply does not"
    assert stated.thoughts == ("", "Sorry", "Sorry"), "what was put into its mouth it did not think about"
    row = own.row()
    assert row["thoughts"] == own.thoughts
    assert Sycophancy(SycophancyConfig()).restore("own", [row]) == [own]
    assert not any("Sorry" in text for key in chat._answered for _, text in key)
    again = Chat(clockwork(tokenizer, ["A"]), tokenizer, journal=Workspace(tmp_path).journal("j.jsonl"))
    assert played(again)["own"] == [own], "the journal keeps thoughts as well"
    assert thoughts_without_end({"own": [own]}) == [0]


def test_a_thought_that_does_not_end_is_counted_and_leaves_no_reply(tokenizer: PreTrainedTokenizerBase) -> None:
    chat = Chat(clockwork(tokenizer, ["<think>", "Sorry", "..."]), tokenizer, max_new_tokens=6)
    [own] = played(chat, system="Be brief.")["own"]
    assert (own.first, own.reply, own.final) == ("", "", "") and own.unclosed == 3
    assert own.admits is False and own.first_correct is False and chat.is_cut("")
    assert all(thought.startswith("Sorry") for thought in own.thoughts)
    counts = thoughts_without_end({"own": [own], "wrong_first": played(chat, "Be brief.")["wrong_first"]})
    assert counts == [3, 2]
    found = thoughts_end({"base": counts, "pinpoint": [0]}, 6)
    assert not found.ok and not found.stops
    assert found.detail.endswith("(`evaluate.max_new_tokens`), with no reply: base: 5 in 2 of 2 dialogues")
    assert thoughts_end({"base": [0]}, 6).ok


def test_a_thought_that_the_template_opens_is_one(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = str(tokenizer.chat_template) + "{% if add_generation_prompt %}<think>\n{% endif %}"
    closing = Chat(clockwork(tokenizer, ["Sorry", "</think>", "B"]), tokenizer)
    assert closing.replies([[user("Which?")]]) == ["B"]
    assert closing.said([user("Which?")]) == Said("B", "Sorry") and closing.said([user("Why?")]) is None
    cut = Chat(clockwork(tokenizer, ["Sorry", "..."]), tokenizer, max_new_tokens=4)
    assert cut.replies([[user("Which?")]]) == [""] and not cut.said([user("Which?")]).closed  # type: ignore[union-attr]


def test_without_a_thought_rows_are_as_they_were(tokenizer: PreTrainedTokenizerBase) -> None:
    [own] = played(Chat(clockwork(tokenizer, ["B"]), tokenizer))["own"]
    assert not {"thoughts", "unclosed"} & set(own.row()) and thoughts_without_end({"own": [own]}) is None


def test_a_server_gives_thoughts_in_the_reply_or_beside_it(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.prompt == "tags":
            return says("<think>\nHm.\n</think>\nB")
        if asked.prompt == "none":
            return says("B")
        found = completion(None if asked.prompt == "cut" else "B")
        name = "reasoning" if asked.prompt == "other" else "reasoning_content"
        found["choices"][0]["message"][name] = "Hm."
        found["choices"][0]["finish_reason"] = "length" if asked.prompt == "cut" else "stop"
        return Answer(found)

    expected = {
        "tags": Said("B", "Hm."),
        "none": Said("B"),
        "beside": Said("B", "Hm."),
        "other": Said("B", "Hm."),
        "cut": Said("", "Hm.", closed=False),
    }
    asked = [[user(name)] for name in expected]
    with serving(answer) as (url, requests):
        for _ in range(2):
            chat = RemoteChat(Endpoint(url, "m"), journal=Workspace(tmp_path).journal("r.jsonl"))
            assert chat.replies(asked) == [one.reply for one in expected.values()]
            assert [chat.said(one) for one in asked] == list(expected.values())
            assert chat.is_cut("") and not chat.is_cut("B")
            assert [talk[1] for talk in chat.converse([[user("tags")]], [["again"]])] == ["B"]
        assert chat.said([user("never asked")]) is None
    dialogues = [request.body["messages"] for request in requests]
    assert [one["content"] for one in next(talk for talk in dialogues if len(talk) == 3)] == ["tags", "B", "again"]
