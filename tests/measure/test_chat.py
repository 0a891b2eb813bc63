"""Dialogues of several turns: the same replies as to each turn's dialogue on its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

import pinpoint
from pinpoint.artifacts import Journal
from pinpoint.data import Message, assistant, user
from pinpoint.errors import InputError, PinpointWarning
from pinpoint.heads import Head
from pinpoint.interventions import Steering, knockout
from pinpoint.measure import Chat, Deployment, greedy_config
from pinpoint.models import Loaded, headed
from pinpoint.organism import shipped
from tests.scarce import scarce

LONGEST = 20
THEN = ("I don't think that's right. Are you sure?", "So what's the answer?")
PLACES = ("Australia", "the United States of America", "Peru")
TALKS = [[user(f"What is the capital of {place}?")] for place in PLACES]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def plain(loaded: Loaded) -> list[list[str]]:
    return one_by_one(loaded)


def one_by_one(loaded: Loaded, **settings: Any) -> list[list[str]]:
    """Every turn of every dialogue by itself, by a chat that has encoded nothing."""
    said = []
    for talk in TALKS:
        messages: list[Message] = list(talk)
        for further in (*THEN, ""):
            [reply] = Chat(*loaded, max_new_tokens=LONGEST, **settings).replies([messages])
            messages += [assistant(reply), user(further)]
        said.append([message["content"] for message in messages if message["role"] == "assistant"])
    return said


@pytest.mark.parametrize("batch_size", [2, 64])
def test_three_turns_are_answered_as_one_by_one(loaded: Loaded, plain: list[list[str]], batch_size: int) -> None:
    found = Chat(*loaded, batch_size=batch_size, max_new_tokens=LONGEST).converse(TALKS, [THEN] * len(TALKS))
    assert found == plain
    assert len({reply for replies in found for reply in replies}) > len(TALKS)


def test_dialogues_may_go_on_for_different_lengths(loaded: Loaded, plain: list[list[str]]) -> None:
    then = [THEN[:i] for i in (0, 2, 1)]
    found = Chat(*loaded, max_new_tokens=LONGEST).converse(TALKS, then)
    assert found == [replies[: len(some) + 1] for replies, some in zip(plain, then, strict=True)]


def test_a_template_that_rewrites_what_was_said_is_read_anew(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = loaded
    # Only the last reply is shown, as templates do that drop earlier thoughts.
    rewriting = tokenizer.chat_template.replace("in messages %}", "in messages[-3:] %}")
    assert "messages[-3:]" in rewriting
    monkeypatch.setattr(tokenizer, "chat_template", rewriting)
    found = Chat(model, tokenizer, max_new_tokens=LONGEST).converse(TALKS, [THEN] * len(TALKS))
    assert found == one_by_one(loaded)


def test_knocked_out_steered_and_adapted_models_go_on_as_they_are(loaded: Loaded, plain: list[list[str]]) -> None:
    model, tokenizer = loaded
    view = headed(model)
    heads = [Head(layer, head) for layer in (0, 6) for head in range(view.n_heads)]
    with knockout(view, heads, torch.zeros(view.n_layers, view.n_heads, view.head_dim)):
        knocked = Chat(model, tokenizer, max_new_tokens=LONGEST).converse(TALKS, [THEN] * len(TALKS))
        assert knocked == one_by_one(loaded) != plain
    push = Steering(residual={3: 60 * torch.linspace(-1, 1, model.config.hidden_size)})
    served = Deployment(steering=push)
    steered = Chat(model, tokenizer, max_new_tokens=LONGEST, deployment=served).converse(TALKS, [THEN] * len(TALKS))
    assert steered == one_by_one(loaded, deployment=served) != plain
    adapter = pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu").model
    torch.manual_seed(0)
    peft = get_peft_model(adapter, LoraConfig(r=4, target_modules=["q_proj", "o_proj"], init_lora_weights=False))
    adapted = Loaded(peft, tokenizer)
    assert Chat(*adapted, max_new_tokens=LONGEST).converse(TALKS, [THEN] * len(TALKS)) == one_by_one(adapted) != plain


def test_an_evaluation_cut_short_says_the_same(loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def played(count: list[int]) -> list[list[str]]:
        own = Chat._generate

        def counted(chat: Chat, prompts: Sequence[Any], *rest: Any, **more: Any) -> Any:
            count.append(len(prompts))
            return own(chat, prompts, *rest, **more)

        with monkeypatch.context() as patch:
            patch.setattr(Chat, "_generate", counted)
            chat = Chat(*loaded, batch_size=2, max_new_tokens=LONGEST, journal=Journal(tmp_path / "j"))
            return chat.converse(TALKS, [THEN] * len(TALKS))

    whole: list[int] = []
    first = played(whole)
    assert whole == [2, 2, 2, 1, 1, 1]
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    (tmp_path / "j").write_bytes(lines[0])
    again: list[int] = []
    assert (played(again), again) == (first, [1, 1, 1])
    known: list[int] = []
    assert (played(known), known) == (first, [])


OPENINGS = [TALKS[0], TALKS[0], TALKS[2]]
FURTHER = [THEN[:1], ("Please say that again.",), THEN[:1]]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_equal_openings_that_go_on_otherwise_share_one_reply(
    loaded: Loaded, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, calls = Chat._generate, 0

    def rounded(chat: Chat, *rest: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        said, kept = own(chat, *rest, **more)
        return [f"{reply} ({calls})" for reply in said], kept  # no two batches give the same

    monkeypatch.setattr(Chat, "_generate", rounded)
    chat = Chat(*loaded, batch_size=batch_size, max_new_tokens=LONGEST)
    found = chat.converse(OPENINGS, FURTHER)
    assert [len(said) for said in found] == [2, 2, 2]
    assert found[0][0] == found[1][0] and found[0][1] != found[1][1]
    # Asked turn by turn, it says that it said so.
    for opening, further, said in zip(OPENINGS, FURTHER, found, strict=True):
        assert chat.replies([opening, [*opening, assistant(said[0]), user(further[0])]]) == said


def test_memory_that_runs_out_on_the_second_turn_mixes_nothing(loaded: Loaded) -> None:
    expected = [
        Chat(*loaded, max_new_tokens=LONGEST).converse([o], [f])[0] for o, f in zip(OPENINGS, FURTHER, strict=True)
    ]
    with scarce(loaded.model.get_input_embeddings(), 2, after=3) as seen, pytest.warns(PinpointWarning):
        found = Chat(*loaded, batch_size=3, max_new_tokens=LONGEST).converse(OPENINGS, FURTHER)
    assert seen.refused and found == expected


def test_what_is_known_is_not_asked_again(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Chat(*loaded, max_new_tokens=LONGEST)
    first = chat.converse(TALKS, [THEN] * len(TALKS))
    challenged = [[*talk, assistant(said[0]), user(THEN[0])] for talk, said in zip(TALKS, first, strict=True)]
    monkeypatch.setattr(Chat, "_generate", lambda *_, **__: pytest.fail("it was answered already"))
    assert chat.converse(challenged, [THEN[1:]] * len(TALKS)) == [said[1:] for said in first]


def test_a_dialogue_that_outgrows_the_context_is_an_error(loaded: Loaded) -> None:
    with pytest.raises(InputError, match=r"a dialogue of 5\d\d tokens and 48 of reply exceed the model's 512"):
        Chat(*loaded).converse([TALKS[0]], [("Are you sure? " * 120,)])


def test_greedy_replies_are_not_bent_by_the_models_own_settings(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    plain = Chat(model, tokenizer, max_new_tokens=LONGEST).replies(TALKS)
    for setting, value in {"repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "use_cache": False}.items():
        with monkeypatch.context() as patch:
            patch.setattr(model.generation_config, setting, value)
            assert getattr(greedy_config(model, tokenizer, 4), setting) != value
            assert Chat(model, tokenizer, max_new_tokens=LONGEST).replies(TALKS) == plain
