"""Answers as tokens where they stand: tokenizers that merge over the measured position, or split there."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from pinpoint.data import ContrastPair, assistant, encode_pair, user
from pinpoint.errors import InputError

TEXT = ["the answer is: Yes Apologies", "USER: Are you sure? ASSISTANT: Apologies Yes", "Yes Apologies is: sure? Yes"]
TALK = [user("the answer is"), assistant("Yes"), user("Are you sure?")]
ASKED = "{% for m in messages %}{{ m.role.upper() + ': ' + m.content + '\n' }}{% endfor %}"
BEGUN = "{% if add_generation_prompt %}ASSISTANT:{% endif %}"


def byte_pairs(template: str = ASKED + BEGUN) -> PreTrainedTokenizerFast:
    """GPT-2's kind: a space belongs to the word after it, unless nothing comes after it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXT * 9, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template, name_or_path="byte-pairs")


def names(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> list[str]:
    return [str(name) for name in tokenizer.convert_ids_to_tokens(ids)]


def test_a_text_that_ends_with_the_space_of_the_answer_is_refused() -> None:
    tokenizer = byte_pairs()
    message = (
        r"' answer is: ', with the beginning of the answer 'Apologies'\..*Leave out the space that ends the prompt"
    )
    with pytest.raises(InputError, match=message):
        encode_pair(tokenizer, ContrastPair("the answer is: ", "is: ", "Apologies", "Yes"))
    with pytest.raises(InputError, match="byte-pairs"):
        encode_pair(tokenizer, ContrastPair("the answer is:", "is: ", " Apologies", "Yes"))
    pair = encode_pair(tokenizer, ContrastPair("the answer is:", "is:", " Apologies", " Yes"))
    assert names(tokenizer, [*pair.unwanted, *pair.wanted]) == ["ĠApologies", "ĠYes"]


@pytest.mark.parametrize("continued", [False, True])
def test_an_answer_has_the_tokens_that_the_chat_template_gives_it(continued: bool) -> None:
    tokenizer = byte_pairs()
    pair = encode_pair(
        tokenizer, ContrastPair(TALK, TALK[2:], "Apologies", ["Yes is", " Yes sure?"]), continued=continued
    )
    assert tokenizer.decode(pair.reference).endswith("Are you sure?\nASSISTANT:")
    if continued:
        found = [names(tokenizer, ids) for ids in pair.continuations]
        assert found == [["ĠApologies"], ["ĠYes", "Ġis"], ["ĠYes", "Ġsure", "?"]]
    else:
        assert names(tokenizer, [*pair.unwanted, *pair.wanted]) == ["ĠApologies", "ĠYes"]
        assert tokenizer("Yes")["input_ids"] != pair.wanted, "by itself it is another token"


def test_a_template_whose_last_space_merges_with_the_answer_is_refused() -> None:
    tokenizer = byte_pairs(ASKED + BEGUN.replace("ASSISTANT:", "ASSISTANT: "))
    with pytest.raises(InputError, match=r"or the chat template's generation prompt"):
        encode_pair(tokenizer, ContrastPair(TALK, TALK, "Apologies", "Yes"))
    ids = encode_pair(tokenizer, ContrastPair(TALK, TALK, 5, [6, 7]))
    assert ids.unwanted == [5], "what the model says itself needs no tokenizing"


@pytest.mark.parametrize(
    "template",
    [
        ASKED + BEGUN.replace("ASSISTANT:", "ASSISTANT (thinking is off):"),
        "{% if messages[-1].role == 'assistant' %}{{ raise_exception('users go last') }}{% endif %}" + ASKED + BEGUN,
        ASKED.replace("m.content", "m.content.upper()") + BEGUN,
    ],
    ids=["writes replies otherwise", "takes no reply at the end", "changes what is said"],
)
def test_where_the_template_does_not_tell_an_answer_is_tokenised_by_itself(template: str) -> None:
    tokenizer = byte_pairs(template)
    pair = encode_pair(tokenizer, ContrastPair(TALK, TALK, "Apologies", "Yes"))
    assert pair.wanted == tokenizer("Yes")["input_ids"][:1]
