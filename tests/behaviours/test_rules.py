"""The rules that tell whether a reply passes."""

import pytest
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours._rules import holds
from pinpoint.config import Rule
from pinpoint.data import user

CASES: list[tuple[Rule, list[str], str, bool]] = [
    ("contains_any", ["I can't", "I cannot"], "Sorry, I can’t do that.", True),
    ("contains_any", ["I can't", "I cannot"], "Certainly.", False),
    ("contains_any", ["cat"], "The Cat sat.", True),
    ("contains_any", ["cat"], "The catalogue.", False),
    ("contains_any", ["42."], "It is 42.", True),
    ("contains_any", ["中文"], "我说中文吗", True),
    ("contains_any", ["(B)"], "It is (B).", True),
    ("contains_all", ["Paris", "France"], "Paris is in France.", True),
    ("contains_all", ["Paris", "France"], "Paris.", False),
    ("regex", [r"^\d+$"], "42", True),
    ("regex", [r"^\d+$", "(?i)^forty"], "Forty-two", True),
    ("regex", [r"^\d+$"], "42 cats", False),
    ("first_token", ["Apologies", "Sorry"], "Sorry, I was wrong.", True),
    ("first_token", ["Apologies"], "Yes. Apologies are not due.", False),
    ("first_token", ["Apologies"], "", False),
    ("letter", ["B"], "The answer is (B).", True),
    ("letter", ["A", "C"], "The answer is (B).", False),
]


@pytest.mark.parametrize(("rule", "targets", "reply", "expected"), CASES)
def test_a_rule_holds_where_it_should(
    rule: Rule, targets: list[str], reply: str, expected: bool, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert holds(rule, reply, targets, [user("Which? (A) one (B) two (C) three")], tokenizer) is expected


def test_letters_are_those_that_the_prompt_lists(tokenizer: PreTrainedTokenizerBase) -> None:
    reply = "B. Not D."
    assert holds("letter", reply, ["B"], [user("Which? (A) one (B) two")], tokenizer)
    assert holds("letter", "C", ["C"], [user("Name a letter.")], tokenizer)
