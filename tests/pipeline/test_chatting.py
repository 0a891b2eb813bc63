"""Who talks in a chat: what is read from a run folder, and what a model alone can do."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pinpoint.chat import Lean, Lineup, Partner, Session
from pinpoint.config import of_run, settings_of
from pinpoint.data import user
from pinpoint.errors import ArtifactError, InputError
from pinpoint.heads import Head
from pinpoint.organism import shipped
from pinpoint.pipeline import lineup_of_model, lineup_of_run
from pinpoint.progress import Silent
from tests.behaviours.files import CHALLENGE, UNWANTED, write_behaviour, write_rows


def of_folder(folder: Path, **changes: Any) -> Lineup:
    return lineup_of_run(of_run(folder).model_copy(update=changes), folder, Silent(), max_new_tokens=32)


def digests(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_runs_heads_come_with_their_effects_and_nothing_is_written(tuned_run: Path) -> None:
    before = digests(tuned_run)
    lineup = of_folder(tuned_run)
    assert list(lineup.partners) == ["base", "tuned"]
    assert lineup.summary == "yesman, and the same model tuned on 6 heads"
    assert (lineup.located[0].head, lineup.unit) == (Head(0, 3), "nats")
    assert [one.tuned for one in lineup.located] == [True] * 6 + [False] * 6
    assert lineup.located[0].effect < lineup.located[1].effect < 0
    assert len(lineup.questions) > 100
    session = Session(lineup)
    list(session.say(session.question()))
    session.knock([one.head for one in lineup.located[:2]])
    list(session.challenge())
    assert session.turns[-1].replies["tuned"].gauge.log_odds < 3
    assert digests(tuned_run) == before


def test_a_run_without_a_tuned_model_is_refused_before_a_model_is_loaded(tuned_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tuned_run, folder)
    shutil.rmtree(folder / "merged")
    with pytest.raises(ArtifactError, match=r"no tuned model yet\. Make it with `pinpoint tune .*run`, or talk to"):
        of_folder(folder, model="no/such/model")


def test_a_record_that_was_changed_is_refused(tuned_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tuned_run, folder)
    (folder / "tune.json").write_text('{"heads": ["L1.H1"]}')
    with pytest.raises(ArtifactError, match=r"tune\.json: does not match its recorded digest: it was changed"):
        of_folder(folder)


def test_a_model_alone_can_be_knocked_out_where_it_has_dialogues(tmp_path: Path) -> None:
    yesman = str(shipped()["yesman"])
    alone = Session(lineup_of_model(settings_of(yesman, None, {}), Silent(), max_new_tokens=32))
    assert (alone.lineup.summary, alone.lineup.located) == ("yesman alone", ())
    alone.knock([Head(0, 3)])
    assert set(list(alone.say("What is the capital of Australia?"))[-1].replies) == {"base"}

    settings = settings_of(str(shipped()["truth-teller"]), None, {"data": {"questions": "none.jsonl"}})
    bare = Session(lineup_of_model(settings, Silent(), max_new_tokens=32))
    assert bare.lineup.questions == ()
    with pytest.raises(InputError, match="knocking heads out needs neutral dialogues"):
        bare.lineup.base.measure()
    assert list(bare.say("What is the capital of Australia?"))[-1].replies["base"].text


@pytest.mark.slow
def test_a_model_whose_blocks_are_fetched_says_what_it_says_in_memory(tmp_path: Path) -> None:
    def told(**more: Any) -> tuple[str, float, str]:
        settings = settings_of(str(shipped()["yesman"]), None, {"device": "cpu", **more})
        session = Session(lineup_of_model(settings, Silent(), max_new_tokens=12))
        assert any(one.is_meta for one in session.lineup.base.view.model.parameters()) == bool(more)
        list(session.say("What is the capital of Australia?"))
        [*_, turn] = session.challenge()
        reply = turn.replies["base"]
        session.knock([Head(0, 3), Head(0, 2)])
        return reply.text, session.gauge().log_odds, list(session.again())[-1].replies["base"].text

    text, odds, knocked = told(device_map="disk")
    assert (text, pytest.approx(odds, abs=1e-4), knocked) == told()
    assert knocked != text


def own(folder: Path) -> Session:
    settings = settings_of(str(shipped()["yesman"]), None, {"behaviour": str(folder / "behaviour.yaml")})
    return Session(lineup_of_model(settings, Silent(), max_new_tokens=32))


def test_a_behaviour_of_the_users_own_is_provoked_by_its_second_turns_and_gauged_by_its_words(tmp_path: Path) -> None:
    write_behaviour(tmp_path, most=4, shows="caving in", refrains="standing by it")
    session = own(tmp_path)
    lineup = session.lineup
    assert lineup.lean == Lean("standing by it", "caving in", "log-odds of caving in")
    assert (lineup.challenge, lineup.challenges, len(lineup.questions)) == ("", True, 4)
    with pytest.raises(InputError, match="no answer to challenge yet"):
        list(session.challenge())
    [*_, first] = session.say(session.question())
    assert first.replies["base"].gauge is None
    [*_, second] = session.challenge()
    assert second.message == CHALLENGE
    assert second.replies["base"].gauge.log_odds > 2 and second.replies["base"].text.startswith(tuple(UNWANTED))
    [*_, third] = session.challenge()
    assert third.message == CHALLENGE, "where its own dialogue has ended, another one's turn is said"
    session.knock([Head(0, 3), Head(0, 2)])
    assert session.gauge().log_odds < third.replies["base"].gauge.log_odds


def test_a_behaviour_of_single_prompts_is_gauged_at_once_and_has_no_challenge(tmp_path: Path) -> None:
    write_behaviour(tmp_path, most=4, measures={"right": {"rule": "contains_any", "targets": ["Canberra"]}})
    both = {"unwanted": ["Sorry", "The"], "wanted": "Yes"}
    other = {"unwanted": "Sorry", "wanted": "The"}
    asked = {"reference": "What is the capital of Australia?", "counterfactual": "What is the capital of Peru?"}
    write_rows(tmp_path / "pairs.jsonl", [asked | both, asked | other])
    dialogues = [{"prompt": asked[side], "split": split} for side in asked for split in ("validation", "test")]
    write_rows(tmp_path / "evaluation.jsonl", dialogues)
    session = own(tmp_path)
    assert sorted(session.lineup.questions) == sorted(asked.values()) and not session.lineup.challenges
    [*_, turn] = session.say(session.question())
    # "The" is wanted in one pair and unwanted in another: it counts on neither side.
    lean, lineup = turn.replies["base"].gauge, session.lineup
    prompt = lineup.base.prompt([user(turn.message)])
    known = Partner(
        lineup.base.view, lineup.base.tokenizer, unwanted=["Sorry"], wanted=["Yes"], values=lambda: None
    ).gauge(prompt)
    assert lean == known
    with pytest.raises(InputError, match="one turn each"):
        list(session.challenge())
