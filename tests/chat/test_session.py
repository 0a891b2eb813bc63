"""A chat: exact knockouts, verify's log-odds and replies, and a conversation that errors and stops leave whole."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest
import torch

from pinpoint.chat import Lineup, Partner, Reply, Session, Turn
from pinpoint.config import VerifyConfig, resolve
from pinpoint.data import Question, assistant, encode_chat, system, user
from pinpoint.errors import InputError
from pinpoint.heads import Head, HeadSet
from pinpoint.interventions import knockout
from pinpoint.measure import Chat, admits_mistake, head_means, play
from pinpoint.models import headed, load
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.progress import Silent
from pinpoint.verify import Prompts, generate_knocked_out

LOCATED = HeadSet([Head(0, 3), Head(0, 2)])
ANSWER = "The answer is Canberra."
QUESTION = "What is the capital of Australia?"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = resolve(str(shipped()["yesman"]), None, {"verify": {"batch_size": 1}, "locate": {"pairs": 6}})
    return Run(config, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def means(run: Run) -> torch.Tensor:
    return head_means(run.view, run.tokenizer, run.inputs.neutral[:40], 40)


@pytest.fixture(scope="module")
def lineup(run: Run, means: torch.Tensor) -> Lineup:
    other = load(shipped()["truth-teller"], "float32", "cpu")
    words = {"unwanted": run.config.behaviour.unwanted, "wanted": run.config.behaviour.wanted}
    partners = {
        "base": Partner(run.view, run.tokenizer, values=lambda: means, **words),
        "tuned": Partner(headed(other.model), other.tokenizer, values=lambda: means, **words),
    }
    behaviour = run.config.behaviour
    return Lineup("yesman", partners, behaviour.challenge, behaviour.system, questions=("One?", "Two?"))


def last(turns: Iterator[Turn]) -> Turn:
    return list(turns)[-1]


def after(question: str, answer: str, names: tuple[str, ...] = ("base", "tuned")) -> tuple[Turn, ...]:
    return (Turn(question, {name: Reply(answer, state="whole") for name in names}),)


def hooks(run: Run) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in run.model.modules())


def asked(run: Run, count: int) -> list[Question]:
    return run.inputs.questions("validation")[:count]


def test_both_hear_the_same_messages_and_their_own_replies(lineup: Lineup, run: Run) -> None:
    session = Session(lineup)
    first, second = last(session.say(QUESTION)), last(session.challenge())
    assert [turn.message for turn in session.turns] == [QUESTION, lineup.challenge]
    assert second.replies["base"].text.startswith(run.config.behaviour.unwanted)
    assert second.replies["tuned"].text.startswith(run.config.behaviour.wanted)
    for name, partner in lineup.partners.items():
        chat = Chat(partner.view.model, partner.tokenizer, 1, 48)
        talk = [*system(lineup.system), user(QUESTION)]
        assert first.replies[name].text == chat.replies([talk])[0]
        talk += [assistant(first.replies[name].text), user(lineup.challenge)]
        assert second.replies[name].text == chat.replies([talk])[0]
        assert second.replies[name].state == "whole"
    assert all(reply.gauge is None for reply in first.replies.values())
    assert second.replies["base"].gauge.log_odds > 0 > second.replies["tuned"].gauge.log_odds


def test_a_reply_grows_and_ends_as_the_whole(lineup: Lineup) -> None:
    session = Session(lineup)
    grown = [turn.replies["base"] for turn in session.say(QUESTION)]
    assert len({reply.text for reply in grown}) > 2
    assert all(grown[-1].text.startswith(reply.text) for reply in grown)
    assert {reply.state for reply in grown[:-1]} >= {"writing"}
    assert session.turns[-1].replies["base"] == grown[-1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_gauge_is_verifys_log_odds(lineup: Lineup, run: Run, means: torch.Tensor, count: int) -> None:
    questions = run.inputs.questions("locate")[:4]
    pairs = run.inputs.behaviour.pairs(questions)
    expected = Prompts(run.view, run.tokenizer, pairs, "mean", means, 1).log_odds(LOCATED[:count])
    found = []
    for question in questions:
        session = Session(lineup)
        session.turns = (*after(question.question, question.state(question.correct)), Turn(lineup.challenge))
        session.switch(LOCATED[:count])
        found.append(session.gauge().log_odds)
    assert found == expected


def test_replies_under_a_knockout_are_verifys(lineup: Lineup, run: Run, means: torch.Tensor) -> None:
    questions = asked(run, 8)
    firsts = [question.state(question.correct) for question in questions]
    said = []
    for question, first in zip(questions, firsts, strict=True):
        session = Session(lineup)
        session.turns = after(question.question, first)
        session.knock(LOCATED)
        said.append(last(session.challenge()).replies["base"].text)
    behaviour = run.config.behaviour
    chat = Chat(run.model, run.tokenizer, 1, 48)
    with knockout(run.view, LOCATED, means):
        exchanges = play(chat, questions, [behaviour.challenge], behaviour.system, [(first,) for first in firsts])
    assert said == [exchange.reply for exchange in exchanges]

    rows = generate_knocked_out(
        run.view, run.tokenizer, questions, LOCATED, means,
        VerifyConfig(generate_at=(0, 2), generate_items=8, batch_size=1), run.inputs.behaviour,
        max_new_tokens=48, resamples=100, seed=0, progress=Silent(),
    )  # fmt: skip
    assert rows[1].rates["apologies"].value == sum(map(admits_mistake, said)) / len(said)
    assert rows[1].rates["apologies"].value < rows[0].rates["apologies"].value


def test_nothing_knocked_out_is_the_base_to_the_last_bit(lineup: Lineup, run: Run) -> None:
    ids = torch.tensor([encode_chat(run.tokenizer, [user(QUESTION), assistant(ANSWER), user(lineup.challenge)])])
    plain = run.model(ids).logits
    session = Session(lineup)
    session.turns = after(QUESTION, ANSWER)
    before = last(session.challenge()).replies["base"]
    session.knock(LOCATED)
    knocked = last(session.again()).replies["base"]
    assert (knocked.knocked, knocked.text == before.text) == (LOCATED, False)
    session.restore()
    assert last(session.again()).replies["base"] == before
    assert torch.equal(run.model(ids).logits, plain)
    assert hooks(run) == 0
    assert len(session.turns) == 2


def test_only_the_base_is_knocked_out_and_only_it_answers_again(lineup: Lineup) -> None:
    session = Session(lineup)
    session.turns = after(QUESTION, ANSWER)
    tuned = last(session.challenge()).replies["tuned"]
    session.knock(LOCATED)
    assert session.turns[-1].replies["base"].knocked == HeadSet()
    turns = list(session.again())
    assert all(turn.replies["tuned"] == tuned for turn in turns)
    session.knock([Head(5, 1), Head(0, 2)])
    session.restore([Head(0, 3)])
    assert session.knocked == HeadSet([Head(0, 2), Head(5, 1)])


def test_a_stopped_reply_is_cut_where_it_was(lineup: Lineup) -> None:
    stop, grown = Event(), []
    base = lineup.base

    def tell(text: str) -> None:
        grown.append(text)
        stop.set()

    prompt = base.prompt([*system(lineup.system), user(QUESTION)])
    text, ended = base.reply(prompt, LOCATED, tell, stop)
    assert not ended
    assert text.startswith(grown[0]) and len(text) < len(base.reply(prompt, LOCATED, grown.append, Event())[0])


def test_a_chat_that_was_stopped_or_left_goes_on(lineup: Lineup, run: Run) -> None:
    session = Session(lineup)
    session.knock(LOCATED)
    for _ in session.say(QUESTION):
        session.stop()
    assert (len(session.turns), hooks(run)) == (1, 0)
    leaving = session.challenge()
    next(leaving)
    leaving.close()
    assert (len(session.turns), hooks(run)) == (1, 0)
    assert last(session.challenge()).replies["base"].state == "whole"
    session.reset()
    assert (session.turns, session.knocked) == ((), LOCATED)


def test_a_reply_that_grows_too_long_is_cut(lineup: Lineup, run: Run) -> None:
    behaviour = run.config.behaviour
    short = Partner(
        run.view, run.tokenizer, unwanted=behaviour.unwanted, wanted=behaviour.wanted, values=lambda: torch.zeros(0),
        max_new_tokens=2,
    )  # fmt: skip
    reply = last(Session(Lineup("yesman", {"base": short}, "No.")).say(QUESTION)).replies["base"]
    assert reply.state == "cut"
    assert "Canberra".startswith(reply.text) or len(run.tokenizer(reply.text)["input_ids"]) <= 3


def test_conversations_do_not_mix(lineup: Lineup) -> None:
    one, other = Session(lineup), Session(lineup)
    one.turns = other.turns = after(QUESTION, ANSWER)
    other.knock(LOCATED)
    alone = [last(session.challenge()).replies["base"] for session in (one, other)]
    threads = [Thread(target=lambda session=session: list(session.again())) for session in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [session.turns[-1].replies["base"] for session in (one, other)] == alone
    assert alone[0].text != alone[1].text


def test_what_cannot_be_said_is_refused_and_nothing_is_kept(lineup: Lineup) -> None:
    session = Session(lineup)
    with pytest.raises(InputError, match="the message is empty"):
        list(session.say("  \n"))
    with pytest.raises(InputError, match="no answer to challenge yet"):
        list(session.challenge())
    with pytest.raises(InputError, match="nothing was said yet"):
        list(session.again())
    with pytest.raises(InputError, match=r"has \d+ tokens, and the model's context of 512 is full"):
        list(session.say("Australia " * 600))
    with pytest.raises(InputError, match="L9.H0 is not a head"):
        session.knock([Head(9, 0)])
    with pytest.raises(InputError, match="L9.H0 is not a head"):
        session.restore([Head(9, 0)])
    assert (session.turns, session.knocked) == ((), HeadSet())
    assert [session.question() for _ in range(3)] == ["One?", "Two?", "One?"]


def test_an_error_in_one_model_ends_the_turn_for_both(lineup: Lineup, run: Run) -> None:
    def broken() -> torch.Tensor:
        raise InputError("there are no neutral dialogues.")

    behaviour = run.config.behaviour
    base = Partner(run.view, run.tokenizer, unwanted=behaviour.unwanted, wanted=behaviour.wanted, values=broken)
    session = Session(Lineup("yesman", {"base": base, "tuned": lineup.partners["tuned"]}, "No."))
    session.knock(LOCATED)
    with pytest.raises(InputError, match="no neutral dialogues"):
        list(session.say(QUESTION))
    session.restore()
    assert last(session.say(QUESTION)).replies["base"].text == ANSWER
    assert hooks(run) == 0
