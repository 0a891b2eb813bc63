"""Where two kinds of reply part, and what is said where they do not."""

import pytest
from transformers import PreTrainedTokenizerBase

from pinpoint.data import encode_chat, user
from pinpoint.errors import InputError
from pinpoint.measure import Chat, Openings, first_tokens_of_replies, openings
from pinpoint.measure._openings import parting
from pinpoint.models import load
from pinpoint.organism import shipped

ME, YOU, APOLOGIZE, AM, SORRY, YES, OH = range(10, 17)


def test_first_tokens_that_differ_part_at_once_and_all_that_stand_out_count() -> None:
    found = parting([[YOU, AM]] * 3 + [[SORRY]] * 6 + [[YES]], [[YES, ME]] * 10)
    assert found is not None and found.shared == ()
    assert found.unwanted == [(SORRY,), (YOU,)] and found.wanted == [(YES,)]


def test_a_tenth_of_all_replies_stands_out_and_less_does_not() -> None:
    found = parting([[1]] * 18 + [[2]] * 2, [[3]] * 19 + [[4]])
    assert found is not None and (found.unwanted, found.wanted) == ([(1,), (2,)], [(3,)])
    surplus = parting([[1]] * 10 + [[2]] * 10, [[3]] * 11 + [[2]] * 9)
    assert surplus is not None and surplus.unwanted == [(1,)], "a twentieth more than of the other kind"


def test_replies_that_begin_alike_part_where_they_do() -> None:
    found = parting([[OH, ME, APOLOGIZE]] * 4, [[OH, ME, AM, SORRY]] * 4)
    assert found == ((OH, ME), [(OH, ME, APOLOGIZE)], [(OH, ME, AM)])


def test_what_only_some_share_is_put_first_if_more_is_told_apart_behind_it() -> None:
    # "I" against "You" tells 4 of 10 apart; "apologize" against "am", behind "I", 6 of 10.
    mixed = [[ME, APOLOGIZE]] * 6 + [[YOU, AM]] * 4
    assert parting(mixed, [[ME, AM]] * 10) == ((ME,), [(ME, APOLOGIZE)], [(ME, AM)])
    assert parting(mixed, [[YES, ME]] * 10) == ((), [(ME,), (YOU,)], [(YES,)])


@pytest.mark.parametrize(
    ("references", "counterfactuals"),
    [
        ([[YES, ME, AM]] * 20, [[YES, ME, AM]] * 20),
        ([[YES]] * 19 + [[SORRY]], [[YES]] * 20),
        ([[]] * 4, [[]] * 4),
        # Replies that give in stand out; of the others, no two begin alike.
        ([[SORRY]] * 20, [[20 + i] for i in range(20)]),
    ],
)
def test_nothing_that_stands_out_is_none(references: list[list[int]], counterfactuals: list[list[int]]) -> None:
    assert parting(references, counterfactuals) is None


def test_an_answer_goes_on_as_far_as_most_replies_agree(tokenizer: PreTrainedTokenizerBase) -> None:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    gives_in = [ids("Apologies, I was wrong.")] * 3 + [ids("Apologies, I made a mistake.")]
    stands = [ids("Yes, I am sure.")] * 2 + [ids("Yes, that is right.")] * 2
    found = openings(tokenizer, gives_in, stands, 3)
    assert [one.text for one in found.unwanted] == ["Apologies, I was"]
    assert [one.text for one in found.wanted] == ["Yes,"], "half of them are not most"
    assert found.ids("unwanted") == [ids("Apologies, I was")] and found.unwanted[0].tokens[0].endswith("Apologies")
    assert found.summary == (
        "unwanted 'Apologies, I was' (100% of references, 0% of counterfactuals); wanted 'Yes,' (0% of references, "
        "100% of counterfactuals); found in the model's replies to 4 of either"
    )
    assert openings(tokenizer, gives_in, stands).ids("wanted") == [ids("Yes")[:1]]
    assert Openings.model_validate(found.model_dump()) == found


def test_what_both_begin_with_is_kept_and_told(tokenizer: PreTrainedTokenizerBase) -> None:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    found = openings(tokenizer, [ids("I was wrong.")] * 2, [ids("I am sure.")] * 2)
    assert (found.shared, found.shared_text) == (ids("I"), "I")
    assert found.ids("unwanted") == [ids("I was")[1:]] and found.unwanted[0].text == "I was"
    assert found.summary.endswith("; measured after 'I', which both kinds begin with")


def test_the_error_shows_how_replies_begin_and_what_to_give(tokenizer: PreTrainedTokenizerBase) -> None:
    alike = [tokenizer("Yes, I am sure.", add_special_tokens=False)["input_ids"]] * 4
    with pytest.raises(InputError) as caught:
        openings(tokenizer, alike, alike)
    told = str(caught.value)
    assert told.startswith("behaviour.unwanted, behaviour.wanted: auto: no beginning of a reply tells")
    assert "To references they begin 'Yes, I am sure' (100%); to counterfactuals 'Yes, I am sure' (100%)." in told
    assert 'unwanted: [Apologies]`, `wanted: ["Yes"]' in told and "locate.metric: logprob_diff" in told
    assert caught.value.exit_code == 2


def test_the_first_tokens_are_those_of_the_greedy_reply() -> None:
    model, tokenizer = load(shipped()["yesman"], "float32", "cpu")
    asked = [[user("What is the capital of Australia?")], [user("Name a river in Peru, please.")]]
    prompts = [encode_chat(tokenizer, dialogue) for dialogue in asked]
    said = first_tokens_of_replies(model, tokenizer, prompts, 48)
    whole = Chat(model, tokenizer).replies(asked)
    assert [tokenizer.decode(reply).strip() for reply in said] == whole and all(whole), "their ends are left out"
    assert first_tokens_of_replies(model, tokenizer, prompts, 2) == [reply[:2] for reply in said]
    with pytest.raises(InputError, match="a prompt of 512 tokens leaves no room for a reply in the model's 512"):
        first_tokens_of_replies(model, tokenizer, [[5] * 512], 4)
