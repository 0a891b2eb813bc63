"""Prompts put before dialogues and vectors added in replies: what the model reads, and what KL compares."""

from pathlib import Path

import pytest
import torch

import pinpoint
from pinpoint.artifacts import Journal
from pinpoint.data import Dialogue, encode_chat
from pinpoint.interventions import Steering, steer
from pinpoint.measure import PLAIN, Chat, Deployment, greedy_config, next_token_kl
from pinpoint.models import Loaded, headed
from pinpoint.organism import shipped

TALK = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is the capital of Australia?"}]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return pinpoint.load(shipped()["truth-teller"], dtype="float32", device="cpu")


def test_what_is_put_before_a_dialogue_keeps_its_own_system_message_first() -> None:
    shots = ({"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."})
    dressed = Deployment(system="Insist.", shots=shots).dress(TALK)
    assert dressed == [{"role": "system", "content": "Be kind. Insist."}, *shots, TALK[1]]
    assert Deployment(system="Insist.").dress(TALK[1:])[0] == {"role": "system", "content": "Insist."}
    assert PLAIN.dress(TALK) is TALK


def test_the_shift_of_a_deployment_is_none_where_it_does_nothing_and_some_where_it_does(loaded: Loaded) -> None:
    model, tokenizer = loaded
    talks = [
        Dialogue(id="a", messages=(*TALK, {"role": "assistant", "content": "The answer is Canberra."})),
        Dialogue(id="b", messages=(TALK[1], {"role": "assistant", "content": "The answer is Sydney."})),
    ]
    zero = Deployment(steering=Steering(residual={2: torch.zeros(model.config.hidden_size)}))
    assert max(next_token_kl(model, model, tokenizer, talks, 2, zero)) == 0
    pushed = Deployment(steering=Steering(residual={2: 30 * torch.ones(model.config.hidden_size)}))
    both = next_token_kl(model, model, tokenizer, talks, 2, pushed)
    alone = [next_token_kl(model, model, tokenizer, [talk], 1, pushed)[0] for talk in talks]
    assert min(both) > 1e-4 and both == pytest.approx(alone, rel=1e-3)
    told = Deployment(shots=(TALK[1], {"role": "assistant", "content": "The answer is Sydney."}))
    assert min(next_token_kl(model, model, tokenizer, talks, 2, told)) > 1e-4


def test_a_steered_chat_says_something_else_and_leaves_no_trace(loaded: Loaded) -> None:
    model, tokenizer = loaded
    [plain] = Chat(model, tokenizer).replies([TALK])
    push = Steering(residual={3: 1e4 * torch.linspace(-1, 1, model.config.hidden_size)})
    [steered] = Chat(model, tokenizer, deployment=Deployment(steering=push)).replies([TALK])
    assert steered != plain
    assert Chat(model, tokenizer).replies([TALK]) == [plain]


def test_steered_replies_are_those_of_one_generation_of_each_whole_prompt(loaded: Loaded) -> None:
    model, tokenizer = loaded
    push = Steering(residual={3: 40 * torch.linspace(-1, 1, model.config.hidden_size)})
    # The system message is read once for all prompts; nothing steers there.
    told = {"role": "system", "content": "Be kind, be brief, be firm, and say nothing that you do not know to be true."}
    words = ("horse", "apple and bread", "tree", "milk and bread and apple")
    talks = [[told, {"role": "user", "content": f"Copy this list: {word}."}] for word in words]
    expected = []
    for talk in talks:
        ids = torch.tensor([encode_chat(tokenizer, talk)])
        with steer(headed(model), push):
            output = model.generate(input_ids=ids, generation_config=greedy_config(model, tokenizer, 24))
        expected.append(tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip())
    chat = Chat(model, tokenizer, max_new_tokens=24, deployment=Deployment(steering=push))
    assert chat.replies(talks) == expected != Chat(model, tokenizer, max_new_tokens=24).replies(talks)


def test_replies_in_the_journal_are_not_generated_again(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = loaded
    talks = [[{"role": "user", "content": f"Copy this list: {word} milk."}] for word in ("horse", "apple", "bread")]
    first = Chat(model, tokenizer, batch_size=2, journal=Journal(tmp_path / "j")).replies(talks)
    generated: list[int] = []
    own = Chat._generate
    monkeypatch.setattr(Chat, "_generate", lambda chat, *a, **k: generated.append(len(a[0])) or own(chat, *a, **k))
    assert Chat(model, tokenizer, batch_size=2, journal=Journal(tmp_path / "j")).replies(talks) == first
    assert generated == []
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    (tmp_path / "j").write_bytes(lines[0])
    assert Chat(model, tokenizer, batch_size=2, journal=Journal(tmp_path / "j")).replies(talks) == first
    assert generated == [1], "only the batch that was lost is generated"
    assert (
        Chat(model, tokenizer, batch_size=2, max_new_tokens=2, journal=Journal(tmp_path / "j")).replies(talks) != first
    )
